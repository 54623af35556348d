// Package journal is the room that segments take on the disk before the content
// store has them.
//
//	budget.go  Budget: bytes of the cache directory, for the journal and for pages
//
// Locks: Budget.mu is taken last, and never held while anybody waits.
package journal
