// Package journal keeps segments on this machine's disk until the content store has
// them, and the table of all segments, wherever they are. It exists so that random and
// small writes reach the disk as one sequential run, and so that many writers share one
// sync.
//
// A segment goes through these states; each arrow names who takes it there.
//
//	            Append, Output
//	                  │
//	                  ▼           seal: footer, sync,
//	  retire  ┌── Writable ──┐    entry in the index     ┌────────┐  Sent: the content
//	  (full,  │     open     ├──────────────────────────▶│ Sealed ├────store has it,──────┐
//	  idle)   └─▶ retired ───┘                           └─┬────┬─┘  and the index says   │
//	                  │                                    │    │     so                  ▼
//	                  │ DropUnused: no file uses it        │    │ Lost: neither here  ┌────────┐
//	                  ├────────────────────────────────────┘    │ nor there, at a     │ Stored │
//	                  ▼                                         ▼ start               └───┬────┘
//	                Dead ◀─────── Kill, Forget ──────────── Missing                       │
//	                  ▲                                                                   │
//	                  └─────────────── Kill, Forget: no file uses it ─────────────────────┘
//
//	append.go    a record gets its place in the active segment; rotation
//	create.go    files of segments
//	keeper.go    the spare segment, and the retirement of an idle one
//	sync.go      durability on this machine; syncer.go shares one sync among many
//	seal.go      footers, and the end of segments that nobody uses
//	queue.go     segments on their way to the content store
//	output.go    segments that a compaction writes
//	accounts.go  what files have in segments
//	sums.go      checksums of open segments
//	fill.go      zeros ahead of small records
//	budget.go    the bytes of the directory, divided between segments and pages
//	dir.go       the directory and its lock
//	recovery.go  what a start does
//
// Imports: data/format and data/worker alone. What it needs of those above it is
// Owner.
//
// Locks, in the order in which they are taken:
//
//	Journal.mu       the open segments, their tails, and the queues; held for no I/O
//	                 but that of fill and the removal of a file that nobody uses
//	syncer.mu        who waits for a sync of one segment; not with Journal.mu
//	Table.mu         the map alone
//	recordSums.mu    the checksums of one segment
//	Budget.mu        taken last; nobody waits, and nothing is evicted, with it held
//
// Methods with a small letter say so when their caller holds Journal.mu. Owner's methods
// are called without it, but for MayMake, Sealed and Unused, which do not block.
package journal
