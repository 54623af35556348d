package gc

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxLayouts bounds the files that wait to be laid out again.
const maxLayouts = 1024

// layoutQueue are ranges of files that a reader went through in order, and found in
// small pieces all over the store. They are in memory only: who needs one
// that was forgotten will read it again.
type layoutQueue struct {
	n  atomic.Int64
	mu sync.Mutex
	m  map[uint64]layoutRange
}

type layoutRange struct {
	lo, hi uint64    // of the file
	due    time.Time // nothing is done before
}

// add notes a range of a file, together with what is wanted of it already.
func (q *layoutQueue) add(ino uint64, lo, hi uint64, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w, known := q.m[ino]
	switch {
	case known:
		w.lo, w.hi = min(w.lo, lo), max(w.hi, hi)
	case len(q.m) >= maxLayouts:
		return
	default:
		w = layoutRange{lo, hi, due}
	}
	if q.m == nil {
		q.m = map[uint64]layoutRange{}
	}
	q.m[ino] = w
	q.n.Store(int64(len(q.m)))
}

// drop takes a file out: what is overwritten now would be copied for nothing.
func (q *layoutQueue) drop(ino uint64) {
	if q.n.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.m, ino)
	q.n.Store(int64(len(q.m)))
}

// next is the range that is due first.
func (q *layoutQueue) next() (ino uint64, w layoutRange, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, v := range q.m {
		if !ok || v.due.Before(w.due) {
			ino, w, ok = i, v, true
		}
	}
	return ino, w, ok
}

// advance takes out what was done of a range, up to an offset.
func (q *layoutQueue) advance(ino, off uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w, ok := q.m[ino]
	if w.lo = max(w.lo, off); !ok || w.lo >= w.hi {
		delete(q.m, ino)
	} else {
		q.m[ino] = w
	}
	q.n.Store(int64(len(q.m)))
}

// postpone leaves a range for later.
func (q *layoutQueue) postpone(ino uint64, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w, ok := q.m[ino]; ok {
		w.due = due
		q.m[ino] = w
	}
}
