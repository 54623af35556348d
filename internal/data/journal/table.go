package journal

import (
	"sync"

	"github.com/dittofs/dittofs/internal/data/format"
)

// Table holds all segments that anything refers to. Safe for concurrent use.
type Table struct {
	mu sync.RWMutex
	m  map[format.SegmentID]*Segment
}

// Get returns a segment, or nil.
func (t *Table) Get(id format.SegmentID) *Segment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.m[id]
}

// Len is the number of segments.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.m)
}

// Each calls f for every segment, with the table's lock held.
func (t *Table) Each(f func(*Segment)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, g := range t.m {
		f(g)
	}
}

// Select returns the segments for which f, which is called with the table's lock
// held, is true.
func (t *Table) Select(f func(*Segment) bool) (list []*Segment) {
	t.Each(func(g *Segment) {
		if f(g) {
			list = append(list, g)
		}
	})
	return list
}

func (t *Table) put(g *Segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[format.SegmentID]*Segment{}
	}
	t.m[g.ID] = g
}

func (t *Table) remove(id format.SegmentID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, id)
}
