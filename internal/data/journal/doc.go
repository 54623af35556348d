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
//	append.go    records; appender.go gives them their places in the active segment
//	maker.go     files of segments
//	keeper.go    the spare segment, and the retirement of an idle one
//	sync.go      durability on this machine; syncer.go shares one sync among many
//	seal.go      footers, and the end of segments that nobody uses
//	queue.go     segments on their way to the content store; send.go hands them out
//	output.go    segments that a compaction writes
//	accounts.go  what files have in segments
//	sums.go      checksums of open segments
//	fill.go      zeros ahead of small records
//	budget.go    the bytes of the directory, divided between segments and pages
//	recovery.go  what a start does
//
// Imports: data/format, data/worker and data/cachedir. What it needs of those above it
// is Owner.
//
// Locks, in the order in which they are taken:
//
//	appender.mu      the open segments and their tails; held for no I/O but that of
//	                 fill and the removal of a file that nobody uses
//	queue.mu         segments that are no longer open
//	syncer.mu        who waits for a sync of one segment; with none of the others
//	Table.mu         the map alone
//	recordSums.mu    the checksums of one segment
//	Budget.mu        taken last; nobody waits, and nothing is evicted, with it held
//
// Methods say so when their caller holds appender.mu. Owner's methods are called with
// none of these held, but for the function that is given to NextUnsent.
package journal
