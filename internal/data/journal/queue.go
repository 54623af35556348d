package journal

import (
	"slices"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// queue holds the segments that are no longer open, and that the content store does
// not have yet. Safe for concurrent use.
type queue struct {
	mu      sync.Mutex // taken under appender.mu
	retired []*Segment // in their order; they wait for the sealer
	sealed  []*Segment // they wait for the content store
}

func (q *queue) retire(g *Segment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g.retired.Store(true)
	q.retired = append(q.retired, g)
}

// seal moves a segment to those that wait for the content store. Its file has shrunk
// by what it returns.
func (q *queue) seal(g *Segment) (freed int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.retired = without(q.retired, g)
	q.sealed = append(q.sealed, g)
	kept := disk.OnDisk(g.entry.Size)
	freed, g.tail.room = g.tail.room-kept, kept
	return freed
}

// inherit takes a sealed segment that an earlier process left.
func (q *queue) inherit(g *Segment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sealed = append(q.sealed, g)
}

// remove takes a segment out, wherever it is.
func (q *queue) remove(g *Segment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.retired, q.sealed = without(q.retired, g), without(q.sealed, g)
}

func without(list []*Segment, g *Segment) []*Segment {
	return slices.DeleteFunc(list, func(o *Segment) bool { return o == g })
}

// toSeal returns those that wait for the sealer.
func (q *queue) toSeal() []*Segment {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.retired)
}

func (q *queue) len() (retired, sealed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.retired), len(q.sealed)
}

// next returns the oldest that waits for the content store and that skip, which is
// called with the lock held, does not name; or nil.
func (q *queue) next(skip func(*Segment) bool) *Segment {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.sealed {
		if !skip(g) {
			return g
		}
	}
	return nil
}

// state says whether it is empty, and whether it has a segment to which the index
// referred when the store was opened.
func (q *queue) state() (empty, inherited bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	inherited = slices.ContainsFunc(q.sealed, func(g *Segment) bool { return g.inherited })
	return len(q.retired)+len(q.sealed) == 0, inherited
}

// Lag is what the content store does not have yet.
type Lag struct {
	// Oldest is when the oldest byte was written that is not there, zero if there
	// is none. Of segments that an earlier process left it is about that.
	Oldest   time.Time
	Bytes    int64 // of records
	Segments int
}

func (q *queue) addTo(l *Lag) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.retired {
		l.addOpen(g)
	}
	for _, g := range q.sealed {
		l.add(g, g.entry.Size)
	}
}

func (l *Lag) addOpen(g *Segment) {
	if g.tail.size > format.HeaderLen {
		l.add(g, g.tail.size)
	}
}

func (l *Lag) add(g *Segment, bytes int64) {
	l.Bytes += bytes
	l.Segments++
	if t := g.tail.begun; l.Oldest.IsZero() || !t.IsZero() && t.Before(l.Oldest) {
		l.Oldest = t
	}
}
