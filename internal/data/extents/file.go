package extents

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
)

// MaxDirty is the largest number of extents that Dirty returns. Files with a
// quarter of it are flushed early.
const MaxDirty = 32 << 10

// File is the extent state of one inode: the committed map, loaded from the
// index where it is needed, and over it the dirty map. Safe for concurrent
// use, but the order of Insert, Commit and Truncate, and the submission of
// their batches before the next of them, are up to the caller's lock.
type File struct {
	t   *Table
	ino uint64

	mu      sync.Mutex
	dirty   intervals
	counted int // dirty extents, in the DirtySet

	committed intervals // what is loaded; whole extents of the index
	end       uint64    // end of the committed extents
	endKnown  bool
	windows   map[uint64]*window
	keep      fileRange // loaded extents that the operation under way needs
	accounted int64     // bytes in the extent cache's sum
	// unsubmitted is the last change of the index made by this file that was
	// finished: nothing is evicted before the Log shows it. What a change that is
	// not finished has done may be evicted behind it: its pieces ascend, and nobody
	// maps the file before its batch is submitted, since the caller's lock is held.
	unsubmitted indexEntry

	since time.Time // in the DirtySet: when the first dirty extent came
}

// Insert makes an appended extent current. delta is the change of the file's
// allocated bytes, those that are not in holes. After an error the extent is
// still to be discarded.
func (f *File) Insert(ctx context.Context, e format.Extent) (delta int64, err error) {
	if e.Check() != nil {
		return 0, errNeverAppended(e)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	there, err := f.countAllocated(ctx, e.Off, e.End(), math.MaxInt)
	if err != nil {
		return 0, err
	}
	delta = int64(e.Len) - there
	if !f.t.opts.Segments.Dirtied(e.Seg, int64(e.Len)) {
		return 0, errNeverAppended(e)
	}
	f.t.opts.Written(f.ino)
	f.t.bytes.Add(int64(e.Len))
	f.dirty.set(e, f.undirty)
	f.countDirty()
	f.t.opts.Segments.Inserted(e.Seg)
	if f.dirty.n >= MaxDirty/4 && !f.t.opts.Remote {
		f.t.dirty.hurry(f)
		f.t.opts.Due()
	}
	return delta, nil
}

func errNeverAppended(e format.Extent) error {
	return fmt.Errorf("insertion of extent %+v that was never appended: %w", e, format.ErrCorrupt)
}

// countDirty follows a change of the dirty map.
func (f *File) countDirty() {
	was := f.counted
	f.counted = f.dirty.n
	f.t.dirty.extents.Add(int64(f.counted - was))
	switch {
	case was == 0 && f.counted > 0:
		f.t.dirty.put(f)
		f.t.opts.Due()
	case was > 0 && f.counted == 0:
		f.t.dirty.remove(f)
	}
}

// undirty accounts for a piece that leaves the dirty map.
func (f *File) undirty(e format.Extent) {
	f.t.bytes.Add(-int64(e.Len))
	f.t.opts.Segments.Undirtied(e.Seg, int64(e.Len))
}

// Allocated counts the bytes of [off, off+n) that are not in holes, as far as
// they lie in a bounded number of extents: where a client has made very many, it
// is the count of those at the range's beginning.
func (f *File) Allocated(ctx context.Context, off, n uint64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.countAllocated(ctx, off, off+n, 16)
}

// countAllocated is Allocated, in so many steps at most.
func (f *File) countAllocated(ctx context.Context, lo, hi uint64, steps int) (n int64, err error) {
	for lo < hi && steps > 0 {
		next := hi
		d := f.dirty.seek(lo)
		if e, ok := d.get(); ok && e.Off <= lo { // what is below is of no interest
			n += int64(min(e.End(), hi) - lo)
			lo = e.End()
			continue
		} else if ok {
			next = min(hi, e.Off)
		}
		f.keep = fileRange{lo, next}
		reached, err := f.ensure(ctx, lo, next)
		if err != nil && !errors.Is(err, errGap) {
			return 0, err
		}
		if reached < next { // there are more extents than one step takes
			steps--
		}
		n += f.allocatedCommitted(lo, reached)
		f.unload(ctx, lo, reached)
		lo = reached
	}
	return n, nil
}

// allocatedCommitted counts the bytes of [lo, hi) that are in committed extents
// which are loaded, and not in holes.
func (f *File) allocatedCommitted(lo, hi uint64) (n int64) {
	c := f.committed.seek(lo)
	for e, ok := c.get(); ok && e.Off < hi; e, ok = c.get() {
		if !e.Hole() {
			n += int64(e.Clip(lo, hi).Len)
		}
		c.next()
	}
	return n
}

// Map returns the extents that cover [off, off+n), dirty ones over committed
// ones, with holes. If there are more than MaxExtents it is the first of them,
// which cover the range's beginning. A range that nothing covers is ErrCorrupt.
func (f *File) Map(ctx context.Context, off, n uint64) ([]format.Extent, error) {
	return f.AppendMap(ctx, nil, off, n)
}

// AppendMap is Map into memory of the caller.
func (f *File) AppendMap(ctx context.Context, dst []format.Extent, off, n uint64) ([]format.Extent, error) {
	if n == 0 || off > format.MaxFileSize || n > format.MaxFileSize-off {
		return nil, fmt.Errorf("map of %d bytes at offset %d: %w", n, off, format.ErrTooLarge)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	first := len(dst)
	for end := off + n; off < end; {
		f.keep = fileRange{off, end}
		reached, err := f.ensure(ctx, off, end)
		if err != nil && !errors.Is(err, errGap) {
			return nil, err
		}
		if dst, err = f.mapLoaded(dst, off, reached, first+f.t.opts.AtOnce); err != nil {
			return nil, err
		}
		if most := first + f.t.opts.AtOnce; len(dst) >= most {
			return dst[:most], nil
		}
		off = reached
	}
	return dst, nil
}

// mapLoaded appends what lies in [off, end), where everything is loaded, until
// dst has as many extents as limit.
func (f *File) mapLoaded(dst []format.Extent, off, end uint64, limit int) (_ []format.Extent, err error) {
	d := f.dirty.seek(off)
	for off < end && len(dst) < limit {
		e, ok := d.get()
		if !ok || e.Off >= end {
			return f.mapCommitted(dst, off, end)
		}
		if e.Off > off {
			if dst, err = f.mapCommitted(dst, off, e.Off); err != nil {
				return nil, err
			}
		}
		part := e.Clip(off, end)
		dst = appendMerged(dst, part)
		off = part.End()
		d.next()
	}
	return dst, nil
}

// mapCommitted appends what lies in [lo, hi) under the dirty map. Behind the
// committed end, but before a dirty extent, is a hole that the next Commit
// will record.
func (f *File) mapCommitted(dst []format.Extent, lo, hi uint64) ([]format.Extent, error) {
	c := f.committed.seek(lo)
	for lo < hi {
		e, ok := c.get()
		if !ok || e.Off > lo {
			break
		}
		part := e.Clip(lo, hi)
		dst = appendMerged(dst, part)
		lo = part.End()
		c.next()
	}
	if lo == hi {
		return dst, nil
	}
	if last, ok := f.dirty.last(); lo >= f.end && ok && hi <= last.End() {
		return appendMerged(dst, format.Extent{Off: lo, Len: hi - lo}), nil
	}
	return nil, fmt.Errorf("inode %d has no extent at offset %d: %w", f.ino, lo, format.ErrCorrupt)
}

// appendMerged appends e, or lengthens an extent that it continues: a hole, or
// another part of the same record.
func appendMerged(dst []format.Extent, e format.Extent) []format.Extent {
	if n := len(dst); n > 0 && e.Continues(dst[n-1]) {
		dst[n-1].Len += e.Len
		return dst
	}
	return append(dst, e)
}

// Dirty returns the extents that were inserted and not committed, in order,
// to pass to Sync and Commit; at most maxDirty of them.
func (f *File) Dirty() []format.Extent {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dirty.n == 0 {
		return nil
	}
	n := min(f.dirty.n, MaxDirty)
	return f.dirty.appendAll(make([]format.Extent, 0, n), n)
}

// Stored returns those of Dirty that the content store has.
func (f *File) Stored() []format.Extent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var stored []format.Extent
	var last format.SegmentID
	isStored := false
	for _, chunk := range f.dirty.chunks {
		for _, e := range chunk {
			if e.Seg != last {
				last, isStored = e.Seg, f.t.opts.Segments.Stored(e.Seg)
			}
			if isStored && len(stored) < MaxDirty {
				stored = append(stored, e)
			}
		}
	}
	return stored
}

// HasDirty says whether anything is to be committed.
func (f *File) HasDirty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dirty.n > 0
}

// dirtyIn says whether the file has dirty extents in the segment.
func (f *File) dirtyIn(id format.SegmentID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, chunk := range f.dirty.chunks {
		for i := range chunk {
			if chunk[i].Seg == id {
				return true
			}
		}
	}
	return false
}

// Drop forgets the dirty extents of an inode that was removed.
func (f *File) Drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty.cut(0, format.MaxFileSize, f.undirty)
	f.countDirty()
}

// Close forgets clean state, which is loaded again if it is needed. All
// batches of the file have been submitted.
func (f *File) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unsubmitted = indexEntry{}
	for _, w := range f.windows {
		f.t.cache.remove(w)
	}
	f.forget()
}

// Inode is the number of the file.
func (f *File) Inode() uint64 { return f.ino }
