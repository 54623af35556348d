// Package cachedir is the directory at cache.path: whose it is, its lock, and the
// places of files in it. A server that lost it to another one changes nothing there.
//
// Imports: data/format and data/worker. It has no lock but that of the directory.
package cachedir
