package data

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	// windowSize is the range of a file that is loaded at once.
	windowSize = 64 << 20
	// wholeFile is the number of extents up to which a file is loaded as a
	// whole when it is first used.
	wholeFile = 64
	// scanPage is the number of extents in one scan.
	scanPage = 512

	extentMemory = 40  // bytes of a loaded extent
	windowMemory = 160 // bytes of a window's own state
	// evictTries is the number of windows looked at for each load.
	evictTries = 256
)

// errGap: the index has nothing where an extent must be.
var errGap = fmt.Errorf("gap in the extents: %w", format.ErrCorrupt)

// indexEntry is one change of the index; a nil value means deleted.
type indexEntry struct{ key, value []byte }

// visible says whether the Log shows the change.
func (e indexEntry) visible(ctx context.Context, log meta.Reader) bool {
	if e.key == nil {
		return true
	}
	values, err := log.Get(ctx, e.key)
	if err != nil {
		return false
	}
	return (values[0] == nil) == (e.value == nil) && bytes.Equal(values[0], e.value)
}

// ensure loads what is missing of the committed map in [lo, hi). Since the
// index covers a file without gaps, whatever the map does not cover below the
// file's end is not loaded.
func (f *fileExtents) ensure(ctx context.Context, lo, hi uint64) error {
	if err := f.loadEnd(ctx); err != nil {
		return err
	}
	defer f.account(ctx)
	hi = min(hi, f.end)
	if lo < hi {
		f.use(lo)
	}
	for lo < hi {
		c := f.committed.seek(lo)
		next, ok := c.get()
		if ok && next.Off <= lo {
			lo = next.End()
			continue
		}
		gap := byteWindow(lo)
		if before, ok := c.previous(); ok {
			gap.lo = max(gap.lo, before.End())
		}
		if ok {
			gap.hi = min(gap.hi, next.Off)
		}
		gap.hi = min(gap.hi, f.end)
		if err := f.load(ctx, gap.lo, gap.hi); err != nil {
			return err
		}
		c = f.committed.seek(lo)
		if e, ok := c.get(); !ok || e.Off > lo {
			return fmt.Errorf("inode %d at offset %d: %w", f.ino, lo, errGap)
		}
	}
	return nil
}

type fileRange struct{ lo, hi uint64 }

func byteWindow(off uint64) fileRange {
	lo := off / windowSize * windowSize
	return fileRange{lo, lo + windowSize}
}

// loadEnd finds the end of the committed extents, and with it, if they are
// few, all of them.
func (f *fileExtents) loadEnd(ctx context.Context) error {
	if f.endKnown {
		return nil
	}
	r := format.ExtentRange(f.ino, 0, format.MaxFileSize)
	pairs, err := f.t.opts.Index.Scan(ctx, r, wholeFile)
	if err != nil {
		return err
	}
	exts, err := f.decode(pairs)
	if err != nil {
		return err
	}
	var last format.Extent
	if len(exts) > 0 {
		last = exts[len(exts)-1]
	}
	if len(exts) == wholeFile {
		if last, err = f.floor(ctx, format.MaxFileSize); err != nil {
			return err
		}
	}
	if err := f.loaded(exts); err != nil {
		return err
	}
	f.end, f.endKnown = last.End(), true
	return nil
}

// load reads the extents of the index that overlap [lo, hi).
func (f *fileExtents) load(ctx context.Context, lo, hi uint64) error {
	r := format.ExtentRange(f.ino, lo, hi)
	for first := true; ; first = false {
		pairs, err := f.t.opts.Index.Scan(ctx, r, scanPage)
		if err != nil {
			return err
		}
		exts, err := f.decode(pairs)
		if err != nil {
			return err
		}
		if first && lo > 0 && (len(exts) == 0 || exts[0].Off > lo) {
			before, err := f.floor(ctx, lo)
			if err != nil {
				return err
			}
			if before.End() > lo {
				exts = append([]format.Extent{before}, exts...)
			}
		}
		if err := f.loaded(exts); err != nil {
			return err
		}
		if len(pairs) < scanPage {
			return nil
		}
		r.Start = append(pairs[len(pairs)-1].Key, 0)
	}
}

// floor is the last extent of the index that begins before off; the zero
// Extent if there is none.
func (f *fileExtents) floor(ctx context.Context, off uint64) (format.Extent, error) {
	r := format.ExtentRange(f.ino, 0, off)
	r.Reverse = true
	pairs, err := f.t.opts.Index.Scan(ctx, r, 1)
	if err != nil || len(pairs) == 0 {
		return format.Extent{}, err
	}
	return format.DecodeExtent(pairs[0].Key, pairs[0].Value, f.ino)
}

func (f *fileExtents) decode(pairs []meta.Pair) ([]format.Extent, error) {
	exts := make([]format.Extent, 0, len(pairs)+1)
	for _, p := range pairs {
		e, err := format.DecodeExtent(p.Key, p.Value, f.ino)
		if err != nil {
			return nil, err
		}
		exts = append(exts, e)
	}
	return exts, nil
}

// loaded puts extents of the index into the committed map.
func (f *fileExtents) loaded(exts []format.Extent) error {
	for _, e := range exts {
		c := f.committed.seek(e.Off)
		if old, ok := c.get(); ok && old.Off < e.End() {
			if old == e {
				continue
			}
			return fmt.Errorf("inode %d has two extents at offset %d: %w", f.ino, max(old.Off, e.Off), format.ErrCorrupt)
		}
		f.committed.add(e)
		f.use(e.Off)
	}
	return nil
}

// account tells the cache how much memory the file's clean extents need.
func (f *fileExtents) account(ctx context.Context) {
	now := int64(f.committed.n)*extentMemory + int64(len(f.windows))*windowMemory
	if now != f.accounted {
		f.t.cache.bytes.Add(now - f.accounted)
		f.accounted = now
		f.t.cache.shrink(ctx, f)
	}
}

// use notes that the window of off is in use.
func (f *fileExtents) use(off uint64) {
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
func (f *fileExtents) forget() {
	f.committed.clear()
	f.windows = nil
	f.end, f.endKnown = 0, false
	f.t.cache.bytes.Add(-f.accounted)
	f.accounted = 0
}

// evict drops the clean extents that begin in the window, unless they overlap
// keep or a batch that changed them has not been submitted. The file's lock is
// held.
func (f *fileExtents) evict(ctx context.Context, w *window, keep fileRange) error {
	if f.windows[w.index] != w {
		return nil
	}
	if !f.unsubmitted.visible(ctx, f.t.opts.Index) {
		return errUnsubmitted
	}
	f.unsubmitted = indexEntry{}
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
	f     *fileExtents
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
func (c *extentCache) shrink(ctx context.Context, busy *fileExtents) {
	if c.bytes.Load() <= c.limit {
		return
	}
	c.mu.Lock()
	tries := min(2*c.ring.Len(), evictTries)
	c.mu.Unlock()
	for ; tries > 0 && c.bytes.Load() > c.limit; tries-- {
		w := c.pop()
		if w == nil {
			return
		}
		if w.used.Swap(false) || !c.evict(ctx, w, busy) {
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

// evict drops a window that is not in the ring; false if it must stay.
func (c *extentCache) evict(ctx context.Context, w *window, busy *fileExtents) bool {
	if w.f == busy {
		return w.f.evict(ctx, w, w.f.keep) == nil
	}
	if !w.f.mu.TryLock() {
		return false
	}
	defer w.f.mu.Unlock()
	return w.f.evict(ctx, w, fileRange{}) == nil
}
