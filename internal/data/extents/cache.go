package extents

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// windowSize is the range of a file whose extents are evicted together: one
	// that is in use can hold an extent for each byte.
	windowSize = 1 << 20

	extentMemory = 40  // bytes of a loaded extent
	windowMemory = 160 // bytes of a window's own state
	// evictTries is the number of windows looked at for each load.
	evictTries = 256
)

// account tells the cache how much memory the file's clean extents need.
func (f *File) account(ctx context.Context) {
	now := int64(f.committed.n)*extentMemory + int64(len(f.windows))*windowMemory
	if now != f.accounted {
		f.t.cache.bytes.Add(now - f.accounted)
		f.accounted = now
		f.t.cache.shrink(ctx, f)
	}
}

// use notes that the window of off is in use.
func (f *File) use(off uint64) {
	i := off / windowSize
	w := f.windows[i]
	if w == nil {
		if f.windows == nil {
			f.windows = map[uint64]*window{}
		}
		w = &window{f: f, index: i}
		f.windows[i] = w
		f.t.cache.add(w)
	}
	if !w.used.Load() {
		w.used.Store(true)
	}
}

// forget drops all clean extents.
func (f *File) forget() {
	f.committed.clear()
	f.windows = nil
	f.end, f.endKnown = 0, false
	f.t.cache.bytes.Add(-f.accounted)
	f.accounted = 0
}

// evict drops the clean extents that begin in the window, unless they overlap
// keep or a batch that changed them has not been submitted. The file's lock is
// held.
func (f *File) evict(ctx context.Context, w *window, keep fileRange) error {
	if f.windows[w.index] != w {
		return nil
	}
	if !f.submitted(ctx) {
		return errUnsubmitted
	}
	lo := w.index * windowSize
	if c := f.committed.seek(lo); lo > 0 {
		if e, ok := c.get(); ok && e.Off < lo {
			lo = e.End()
		}
	}
	if hi := (w.index + 1) * windowSize; lo < hi {
		c := f.committed.seek(hi - 1)
		if e, ok := c.get(); ok && e.Off < hi {
			hi = max(hi, e.End())
		}
		if lo < keep.hi && hi > keep.lo {
			return errInUse
		}
		f.committed.cut(lo, hi, nil)
	}
	delete(f.windows, w.index)
	now := int64(f.committed.n)*extentMemory + int64(len(f.windows))*windowMemory
	f.t.cache.bytes.Add(now - f.accounted)
	f.accounted = now
	return nil
}

// Reasons not to evict a window.
var (
	errUnsubmitted = errors.New("a batch of the file is not yet submitted")
	errInUse       = errors.New("the extents are in use")
)

// window is a part of a file's committed map in the cache: the extents that
// begin in it.
type window struct {
	f     *File
	index uint64
	used  atomic.Bool
	place *list.Element // in extentCache, under its lock
}

// extentCache bounds the memory of all clean extents. Windows are evicted in
// the order in which they came, with a second chance for those in use.
type extentCache struct {
	limit int64
	bytes atomic.Int64

	mu   sync.Mutex
	ring list.List
}

func (c *extentCache) add(w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.place = c.ring.PushBack(w)
}

func (c *extentCache) remove(w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.place != nil {
		c.ring.Remove(w.place)
		w.place = nil
	}
}

// shrink evicts windows until the limit is kept, and looks at a bounded number
// of them: whoever loads more evicts more. The lock of busy is held; of its
// extents those in its keep range stay. Another file that is locked is left
// alone, so that two evicting files cannot wait for each other.
func (c *extentCache) shrink(ctx context.Context, busy *File) {
	if c.bytes.Load() <= c.limit {
		return
	}
	c.mu.Lock()
	tries := min(2*c.ring.Len(), evictTries)
	c.mu.Unlock()
	skip := false // busy's own windows: they have to stay until its batch is submitted
	for ; tries > 0 && c.bytes.Load() > c.limit; tries-- {
		w := c.pop()
		if w == nil {
			return
		}
		if w.used.Swap(false) || skip && w.f == busy {
			c.add(w)
			continue
		}
		if err := c.evict(ctx, w, busy); err != nil {
			skip = skip || w.f == busy && err == errUnsubmitted
			c.add(w)
		}
	}
}

func (c *extentCache) pop() *window {
	c.mu.Lock()
	defer c.mu.Unlock()
	front := c.ring.Front()
	if front == nil {
		return nil
	}
	w := c.ring.Remove(front).(*window)
	w.place = nil
	return w
}

// evict drops a window that is not in the ring; an error says why it must stay.
func (c *extentCache) evict(ctx context.Context, w *window, busy *File) error {
	if w.f == busy {
		return w.f.evict(ctx, w, w.f.keep)
	}
	if !w.f.mu.TryLock() {
		return errInUse
	}
	defer w.f.mu.Unlock()
	return w.f.evict(ctx, w, fileRange{})
}
