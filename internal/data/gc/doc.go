// Package gc gives back the space of bytes that no file has any more.
//
//	collector.go    deletes segments from the content store that nothing refers to
//	pins.go         what a backup keeps from that
//	collect.go      both at once, when somebody asks for it
//	compactor.go    rewrites segments that are mostly dead
//	rewrite.go      one job of that: copy, wait until it is stored, change the index
//	layout.go       copies files that lie in small pieces, in order
//	layoutqueue.go  which
//	orphans.go      objects that neither the index nor a backup knows
//
// A deletion begins with Pins.MayDelete and a durable entry in the index that says
// that the segment is dead; so nothing that a backup refers to goes, and a crash in
// between leaves no object that nobody knows.
//
// Imports: data/journal, data/extents, data/pagecache, data/format and data/worker.
//
// Locks, in the order in which they are taken:
//
//	Compactor.passing   held by the pass that runs, for as long as it does
//	Compactor.mu        its end
//	Collector.deleting  held while dead segments are deleted
//	Collector.mu        the candidates
//	Pins.mu             deletions under way; layoutQueue.mu the files that wait
//
// With any but the first and the third nothing of others is called. Collector.mu and
// layoutQueue.mu may be taken by who holds the lock of a file.
package gc
