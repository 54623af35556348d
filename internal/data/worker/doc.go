// Package worker has what goroutines in the background of a store need: a
// signal to sleep on, an end, an error that ends all, and the memory of what the
// log was told last. It imports nothing of the project.
//
// Locks: Tasks.mu, Failure's atomic value. Nothing of others is called with
// either held.
package worker
