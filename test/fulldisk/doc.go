// Package fulldisk fills the one disk that holds all stores of a real server, and asks it to go on. It is for tests
// alone.
package fulldisk
