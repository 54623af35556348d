package data

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/disk"
)

// segmentState is where a segment is in its life.
type segmentState int32

const (
	stateWritable segmentState = iota // active, or full and not yet sealed
	stateSealed                       // complete, local, not yet in the content store
	stateStored                       // in the content store
	stateDead                         // being deleted
	stateMissing                      // referred to, and found nowhere
)

// segment is one segment of the store, from its first record to its deletion.
type segment struct {
	id    format.SegmentID
	state atomic.Int32
	live  atomic.Int64 // bytes of committed extents, with batches not yet submitted
	dirty atomic.Int64 // bytes of extents in dirty maps
	// pending counts appended extents that were neither inserted nor
	// discarded, and appends in flight.
	pending atomic.Int64
	writing atomic.Int64 // appends in flight
	synced  atomic.Int64 // everything before this position is durable
	// retired is set when no further record will be appended.
	retired atomic.Bool
	// offered says that the content store may have the object: a hand-off
	// began, now or before the last start. Of a sealed segment.
	offered bool
	// inherited: the index referred to it when the store was opened with
	// Remote, though it was not in the content store.
	inherited bool
	// rewritten says that a compaction wrote it. Constant.
	rewritten bool
	// spared is when a compaction may look at it again that got nowhere, in
	// nanoseconds since 1970.
	spared atomic.Int64

	local atomic.Pointer[disk.Shared]   // nil if there is no local copy
	sums  atomic.Pointer[recordSums]    // of an open segment, nil from when it is sealed
	table atomic.Pointer[format.Footer] // of a sealed local copy
	rec   format.SegmentEntry           // set before stateSealed

	// Of a writable segment, under Store.mu.
	size, capacity int64
	filled         int64 // up to here zeros were written before records came; 0 if never
	asked          int64 // size at the last sync
	sparing        bool  // little was written between the last syncs
	seed           uint32
	begun          time.Time // of the first record; after a restart about that, zero if unknown
	room           int64     // reserved in the cache, until it is handed off

	sync syncer
}

func (g *segment) getState() segmentState  { return segmentState(g.state.Load()) }
func (g *segment) setState(s segmentState) { g.state.Store(int32(s)) }

// quiet says whether no extent of the segment waits to be committed. The order
// is that in which bytes move on: what is not seen at one place is seen at the
// next.
func (g *segment) quiet() bool { return g.pending.Load() == 0 && g.dirty.Load() == 0 }

// unused says whether no file has bytes in the segment, nor will.
func (g *segment) unused() bool { return g.quiet() && g.live.Load() <= 0 }

// stored is the segment as one in the content store.
func (g *segment) stored() pagecache.Segment { return pagecache.Segment{ID: g.id, Entry: g.rec} }

// unsent says whether the segment is in the journal alone.
func (g *segment) unsent() bool {
	state := g.getState()
	return state == stateWritable || state == stateSealed
}

// acquire returns the local file with a reference, or nil if there is none.
func (g *segment) acquire() *disk.Shared {
	f := g.local.Load()
	if f == nil || !f.Ref() {
		return nil
	}
	return f
}

// dropLocal gives up the segment's own reference to its local file.
func (g *segment) dropLocal() {
	if f := g.local.Swap(nil); f != nil {
		f.Unref()
	}
	g.table.Store(nil)
}

// syncer lets those who wait for the same segment share a sync: a sync covers
// everybody who came before it began.
type syncer struct {
	mu      sync.Mutex
	cond    sync.Cond
	running bool
	started uint64 // syncs begun
	done    uint64 // syncs ended
	err     error  // of a failed sync; nothing is durable after it
}

// wait returns when a sync that began after the call has ended, or one that
// began before it has made durable what the caller asks for. run does a sync;
// one of the waiters calls it for all.
func (s *syncer) wait(durable func() bool, run func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cond.L == nil {
		s.cond.L = &s.mu
	}
	need := s.started + 1
	for s.done < need && s.err == nil && !durable() {
		if s.running {
			s.cond.Wait()
			continue
		}
		s.running = true
		s.mu.Unlock()
		runtime.Gosched() // whoever can run may have written, and joins
		s.mu.Lock()
		s.started++
		s.mu.Unlock()
		err := run()
		s.mu.Lock()
		s.running = false
		s.done = s.started
		if err != nil {
			s.err = fmt.Errorf("journal sync failed: %w", err)
		}
		s.cond.Broadcast()
	}
	return s.err
}
