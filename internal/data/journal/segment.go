package journal

import (
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// State is where a segment is in its life; the package's comment has the diagram.
type State int32

// States of a segment.
const (
	Writable State = iota // open, or full and not yet sealed
	Sealed                // complete, on this disk, not yet in the content store
	Stored                // in the content store
	Dead                  // being deleted
	Missing               // referred to, and found nowhere
)

// Segment is one segment of the store, from its first record to its deletion.
// Safe for concurrent use.
type Segment struct {
	ID    format.SegmentID
	state atomic.Int32
	uses  uses
	tail  tail // of a writable segment; under appender.mu

	// synced is the position before which everything is durable.
	synced atomic.Int64
	// retired is set when no further record will be appended.
	retired atomic.Bool
	// offered says that the content store may have the object: it was given to
	// it, now or before the last start. Of a sealed segment.
	offered bool
	// inherited: the index referred to it when the store was opened with
	// Remote, though it was not in the content store.
	inherited bool
	// rewritten says that a compaction wrote it. Constant.
	rewritten bool
	// spared is when a compaction may look at it again that got nowhere, in
	// nanoseconds since 1970.
	spared atomic.Int64

	local  atomic.Pointer[disk.Shared]   // nil if there is no local copy
	sums   atomic.Pointer[recordSums]    // of an open segment, nil from when it is sealed
	footer atomic.Pointer[format.Footer] // of a sealed local copy
	entry  format.SegmentEntry           // set before Sealed

	syncer syncer
}

// uses counts the bytes of files in a segment.
type uses struct {
	live  atomic.Int64 // bytes of committed extents, with batches not yet submitted
	dirty atomic.Int64 // bytes of extents in dirty maps
	// pending counts appended extents that were neither inserted nor discarded,
	// appends in flight, and the jobs that write it.
	pending atomic.Int64
	writing atomic.Int64 // appends in flight
}

// tail is the end of a segment that is being written.
type tail struct {
	size, capacity int64
	filled         int64 // up to here zeros were written before records came; 0 if never
	asked          int64 // size at the last sync
	sparing        bool  // little was written between the last syncs
	seed           uint32
	begun          time.Time // of the first record; after a restart about that, zero if unknown
	touched        time.Time // when it was made, or written last
	room           int64     // reserved in the budget, until it leaves the journal
}

// State returns the present state.
func (g *Segment) State() State { return State(g.state.Load()) }

func (g *Segment) setState(s State) { g.state.Store(int32(s)) }

// Entry is what the index says of a segment that is at least sealed.
func (g *Segment) Entry() format.SegmentEntry { return g.entry }

// Live is the number of bytes that files have in the segment.
func (g *Segment) Live() int64 { return g.uses.live.Load() }

// DeadFraction is the part of the segment's bytes that no file has any more.
func (g *Segment) DeadFraction() float64 {
	return 1 - float64(g.uses.live.Load())/float64(g.entry.Payload)
}

// Spare keeps compactions off the segment until a time.
func (g *Segment) Spare(until time.Time) { g.spared.Store(until.UnixNano()) }

// Spared says whether compactions are to leave the segment alone.
func (g *Segment) Spared(now time.Time) bool { return g.spared.Load() > now.UnixNano() }

// Quiet says whether no extent of the segment waits to be committed. The order
// is that in which bytes move on: what is not seen at one place is seen at the
// next.
func (g *Segment) Quiet() bool { return g.uses.pending.Load() == 0 && g.uses.dirty.Load() == 0 }

// Unused says whether no file has bytes in the segment, nor will.
func (g *Segment) Unused() bool { return g.Quiet() && g.uses.live.Load() <= 0 }

// Unsent says whether the segment is in the journal alone.
func (g *Segment) Unsent() bool {
	state := g.State()
	return state == Writable || state == Sealed
}

// Local says whether the journal has a file of the segment.
func (g *Segment) Local() bool { return g.local.Load() != nil }

// Acquire returns the local file with a reference, or nil if there is none.
func (g *Segment) Acquire() *disk.Shared {
	f := g.local.Load()
	if f == nil || !f.Ref() {
		return nil
	}
	return f
}

// Footer is that of a sealed segment of the journal, nil if it was not needed yet.
func (g *Segment) Footer() *format.Footer { return g.footer.Load() }

// Read reads an extent from the segment's local file f into mem, which has room
// for the rest of its first and last block, and returns the part of mem that holds
// it: verified by what is known of an open segment, or by the footer of a sealed
// one.
func (g *Segment) Read(f *disk.Shared, instance string, e format.Extent, mem []byte) ([]byte, error) {
	if sums := g.sums.Load(); sums != nil {
		return sums.read(f.ReadAt, g.ID, e, mem)
	}
	t := g.footer.Load()
	if t == nil {
		var err error
		if t, err = format.ReadFooter(f.ReadAt, g.ID, g.entry, instance); err != nil {
			return nil, err
		}
		g.footer.CompareAndSwap(nil, t)
	}
	return format.ReadExtent(f.ReadAt, t, e, mem)
}

// dropLocal gives up the segment's own reference to its local file.
func (g *Segment) dropLocal() {
	if f := g.local.Swap(nil); f != nil {
		f.Unref()
	}
	g.footer.Store(nil)
}
