package extents

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

// maxCut is the largest number of extents that one batch removes.
const maxCut = 100_000

// Commit moves those of synced that are still current from the dirty map to
// the committed map and adds the change of the index to b, which the caller
// submits before the next change of the file. oldSize is the size that the
// index covers. newSize is the size it covers now; what the index did not
// cover before the new extents is recorded as a hole. delta is the change of
// the committed bytes that are not in holes. What would make a batch too large
// stays dirty, as do the parts that others have overwritten since: as long as
// the file is dirty where synced was, a crash can bring older bytes back.
func (f *File) Commit(
	ctx context.Context, b *meta.Batch, synced []format.Extent, oldSize uint64,
) (newSize uint64, delta int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.checkEnd(ctx, oldSize); err != nil {
		return 0, 0, err
	}
	pieces := f.current(synced)
	if len(pieces) == 0 {
		return oldSize, 0, nil
	}
	c := f.change(b, len(pieces))
	done, err := c.replaceAll(ctx, pieces)
	if len(done) == 0 {
		return oldSize, 0, err
	}
	// After an error the batch is what was done before, which the maps in memory
	// have too; the next Commit begins with what failed.
	c.finish(ctx)
	// Only now, when the live bytes are counted: a segment without dirty
	// and live bytes is dropped.
	for _, p := range done {
		f.dirty.cut(p.Off, p.End(), f.undirty)
	}
	f.countDirty()
	f.t.opts.Committed()
	return f.end, c.delta, nil
}

// replaceAll makes pieces current, as many and as much of the last one as fit
// into the batch, and returns what it did: nothing if there is an error with the
// first.
func (c *change) replaceAll(ctx context.Context, pieces []format.Extent) (done []format.Extent, err error) {
	done = pieces[:0]
	for _, p := range pieces {
		n, err := c.replacePiece(ctx, p)
		if n > 0 {
			done = append(done, p.Clip(p.Off, p.Off+n))
		}
		if err != nil || n < p.Len {
			return done, err
		}
	}
	return done, nil
}

// replacePiece makes a piece current, step by step, since a client can have put
// an extent for each byte where it comes, and returns how much of it: all of it,
// unless the batch is large then or there is an error.
func (c *change) replacePiece(ctx context.Context, p format.Extent) (n uint64, err error) {
	f := c.f
	for off := p.Off; off < p.End(); {
		if c.b.Bytes() > f.t.opts.BatchBytes {
			break
		}
		f.keep = fileRange{p.Off, p.End()}
		reached, err := f.ensure(ctx, off, p.End())
		if err != nil && !errors.Is(err, errGap) {
			return n, err
		}
		if p.Off > f.end {
			c.extend(p.Off)
		}
		c.replace(p.Clip(p.Off, reached)) // one extent, which grows
		f.end = max(f.end, reached)
		off, n = reached, reached-p.Off
	}
	return n, nil
}

// checkEnd compares the index with the size that the inode says it covers.
func (f *File) checkEnd(ctx context.Context, size uint64) error {
	if err := f.loadEnd(ctx); err != nil {
		return err
	}
	if f.end != size {
		return fmt.Errorf("inode %d has extents up to %d and a size of %d: %w", f.ino, f.end, size, format.ErrCorrupt)
	}
	return nil
}

// current returns the parts of synced that are still in the dirty map, in
// order.
func (f *File) current(synced []format.Extent) []format.Extent {
	pieces := make([]format.Extent, 0, len(synced))
	for _, e := range synced {
		d := f.dirty.seek(e.Off)
		for p, ok := d.get(); ok && p.Off < e.End(); p, ok = d.get() {
			if part := p.Clip(e.Off, e.End()); e.SameBytes(part) {
				pieces = append(pieces, part)
			}
			d.next()
		}
	}
	byOffset := func(a, b format.Extent) int {
		if a.Off < b.Off {
			return -1
		}
		return 1
	}
	if !slices.IsSortedFunc(pieces, byOffset) {
		slices.SortFunc(pieces, byOffset)
	}
	return pieces
}

// Resized is what a step of Resize has reached.
type Resized struct {
	Size      uint64 // that the index covers
	Committed int64  // change of the committed bytes that are not in holes
	Used      int64  // the same with those of dirty extents
}

// Resize changes the size that the index covers from oldSize to newSize and
// adds the change to b; growth is a hole, and dirty extents behind the new end
// are dropped. It cuts at most limit extents, 100,000 at most, from the end: if
// the size reached is not newSize, the caller commits it with b before the next
// step. Sizes above MaxFileSize are ErrTooLarge.
func (f *File) Resize(ctx context.Context, b *meta.Batch, oldSize, newSize uint64, limit int) (r Resized, err error) {
	if newSize > format.MaxFileSize {
		return r, fmt.Errorf("size %d: %w", newSize, format.ErrTooLarge)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.checkEnd(ctx, oldSize); err != nil {
		return r, err
	}
	r.Size = newSize
	var victims []format.Extent
	if newSize < oldSize {
		victims, r.Size, err = f.tail(ctx, newSize, min(limit, maxCut))
	} else if _, err = f.ensure(ctx, oldSize-min(oldSize, 1), oldSize); errors.Is(err, errGap) {
		err = nil
	}
	if err != nil {
		return r, err
	}
	r.Used = -f.allocatedOver(victims, r.Size)
	f.dirty.cut(r.Size, format.MaxFileSize, f.undirty)
	f.countDirty()
	c := f.change(b, len(victims)+1)
	if newSize > oldSize {
		c.extend(newSize)
	}
	for _, e := range victims {
		c.free(e.Clip(max(e.Off, r.Size), e.End()))
		if e.Off >= r.Size {
			c.delete(e.Off)
		} else {
			c.put(e.Clip(e.Off, r.Size))
		}
	}
	f.committed.cut(r.Size, format.MaxFileSize, nil)
	f.end = r.Size
	c.finish(ctx)
	r.Committed = c.delta
	return r, nil
}

// tail returns the extents of the index that overlap [newSize, end), last first,
// and the size down to which they reach: newSize, or more if there are above
// limit. They are not loaded: nobody will need them. A gap is cut away like a
// hole.
func (f *File) tail(
	ctx context.Context, newSize uint64, limit int,
) (victims []format.Extent, reached uint64, err error) {
	r := format.ExtentRange(f.ino, 0, f.end)
	r.Reverse = true
	for len(victims) < limit {
		page := min(scanPage, limit-len(victims))
		pairs, err := f.t.opts.Index.Scan(ctx, r, page)
		if err != nil {
			return nil, 0, err
		}
		exts, err := decodeExtents(pairs, f.ino)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range exts {
			if e.End() <= newSize {
				return victims, newSize, nil
			}
			victims = append(victims, e)
		}
		if len(pairs) < page {
			return victims, newSize, nil
		}
		r.End = pairs[len(pairs)-1].Key
	}
	return victims, max(newSize, victims[len(victims)-1].Off), nil
}

// allocatedOver counts the bytes from lo on that are not in holes, in dirty
// extents and under them in committed ones, which all are in committed.
func (f *File) allocatedOver(committed []format.Extent, lo uint64) (n int64) {
	d := f.dirty.seek(lo)
	for e, ok := d.get(); ok; e, ok = d.get() {
		n += int64(e.Clip(lo, format.MaxFileSize).Len)
		d.next()
	}
	for _, e := range committed {
		if !e.Hole() && e.End() > lo {
			n += f.clean(e.Clip(lo, e.End()))
		}
	}
	return n
}

// clean counts the bytes of an extent over which no dirty one lies.
func (f *File) clean(e format.Extent) int64 {
	n := int64(e.Len)
	d := f.dirty.seek(e.Off)
	for o, ok := d.get(); ok && o.Off < e.End(); o, ok = d.get() {
		n -= int64(o.Clip(e.Off, e.End()).Len)
		d.next()
	}
	return n
}

// liveDelta is a change of a segment's live bytes.
type liveDelta struct {
	seg   format.SegmentID
	bytes int64
}

// liveDeltas sums changes of live bytes by segment; few are different.
type liveDeltas []liveDelta

func (l *liveDeltas) add(seg format.SegmentID, bytes int64) {
	if seg == 0 {
		return
	}
	d := *l
	for i := len(d) - 1; i >= 0; i-- {
		if d[i].seg == seg {
			d[i].bytes += bytes
			if i != len(d)-1 {
				d[i], d[len(d)-1] = d[len(d)-1], d[i]
			}
			return
		}
	}
	*l = append(d, liveDelta{seg, bytes})
}

// apply adds the changes to the batch and to the segments' accounts.
func (l liveDeltas) apply(b *meta.Batch, segments Segments) {
	for _, d := range l {
		if d.bytes == 0 {
			continue
		}
		b.Add(format.LiveKey(d.seg), d.bytes)
		segments.Committed(d.seg, d.bytes)
	}
}

// change collects the operations of one batch on one file's index.
type change struct {
	f     *File
	b     *meta.Batch
	mem   []byte // keys and values are cut from it
	live  liveDeltas
	delta int64
	last  indexEntry
}

func (f *File) change(b *meta.Batch, extents int) *change {
	return &change{f: f, b: b, mem: make([]byte, 0, (extents+1)*(format.ExtentKeyLen+format.ExtentValueLen))}
}

func (c *change) room(n int) []byte {
	if cap(c.mem)-len(c.mem) < n {
		c.mem = make([]byte, 0, max(n, 4<<10))
	}
	start := len(c.mem)
	c.mem = c.mem[:start+n]
	return c.mem[start:start:len(c.mem)]
}

func (c *change) put(e format.Extent) {
	key := format.AppendExtentKey(c.room(format.ExtentKeyLen), c.f.ino, e.Off)
	value := format.AppendExtentValue(c.room(format.ExtentValueLen), e)
	c.b.Put(key, value)
	c.last = indexEntry{key, value}
}

func (c *change) delete(off uint64) {
	key := format.AppendExtentKey(c.room(format.ExtentKeyLen), c.f.ino, off)
	c.b.Delete(key)
	c.last = indexEntry{key, nil}
}

// free accounts for bytes that are no longer part of the file.
func (c *change) free(e format.Extent) {
	if !e.Hole() {
		c.live.add(e.Seg, -int64(e.Len))
		c.delta -= int64(e.Len)
	}
}

// replace makes p current in the committed map and the index.
func (c *change) replace(p format.Extent) {
	k := c.f.committed.seek(p.Off)
	for d, ok := k.get(); ok && d.Off < p.End(); d, ok = k.get() {
		c.free(d.Clip(p.Off, p.End()))
		if d.Off < p.Off {
			c.put(d.Clip(d.Off, p.Off))
		} else if d.Off > p.Off {
			c.delete(d.Off)
		}
		if d.End() > p.End() {
			tail := d.Clip(p.End(), d.End())
			c.put(tail)
			c.f.use(tail.Off)
		}
		k.next()
	}
	c.put(p)
	c.f.committed.set(p, nil)
	c.f.use(p.Off)
	if !p.Hole() {
		c.live.add(p.Seg, int64(p.Len))
		c.delta += int64(p.Len)
	}
}

// extend records a hole from the end of the file to size.
func (c *change) extend(size uint64) {
	f := c.f
	hole := format.Extent{Off: f.end, Len: size - f.end}
	if last, ok := f.committed.last(); ok && hole.Continues(last) {
		hole = format.Extent{Off: last.Off, Len: size - last.Off}
	}
	c.put(hole)
	f.committed.set(hole, nil)
	f.use(hole.Off)
	f.end = size
}

// finish completes the batch.
func (c *change) finish(ctx context.Context) {
	c.live.apply(c.b, c.f.t.opts.Segments)
	if c.last.key != nil {
		c.f.unsubmitted = c.last
	}
	c.f.account(ctx)
}
