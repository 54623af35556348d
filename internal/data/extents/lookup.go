package extents

import (
	"context"
	"errors"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

// Current returns the parts of an extent to which the index of an inode leads,
// in order. Nothing is loaded into the cache, and dirty extents do not count.
func (t *Table) Current(ctx context.Context, ino uint64, whole format.Extent) (parts []format.Extent, err error) {
	first := whole.End()
	err = t.Each(ctx, ino, whole.Off, whole.End(), func(e format.Extent) bool {
		first = min(first, e.Off)
		parts = appendSame(parts, whole, e)
		return true
	})
	if err != nil || first == whole.Off {
		return parts, err
	}
	before, err := (&File{t: t, ino: ino}).floor(ctx, whole.Off)
	if err != nil || before.End() <= whole.Off {
		return parts, err
	}
	return append(appendSame(nil, whole, before), parts...), nil
}

// appendSame appends the part of e that is the same bytes as in whole.
func appendSame(parts []format.Extent, whole, e format.Extent) []format.Extent {
	if part := e.Clip(whole.Off, whole.End()); whole.SameBytes(part) {
		return append(parts, part)
	}
	return parts
}

// errStop ends an iteration.
var errStop = errors.New("stop")

// Each calls each with the extents of an inode's index that begin in [lo, hi),
// in order, until it returns false.
func (t *Table) Each(ctx context.Context, ino, lo, hi uint64, each func(format.Extent) bool) error {
	err := meta.Each(ctx, t.opts.Index, format.ExtentRange(ino, lo, hi), scanPage, func(p meta.Pair) error {
		e, err := format.DecodeExtent(p.Key, p.Value, ino)
		if err == nil && !each(e) {
			err = errStop
		}
		return err
	})
	if err == errStop {
		return nil
	}
	return err
}

// EachLoaded calls each with the parts in [lo, hi) of committed extents that are
// loaded. False, and no call, if the file has dirty extents.
func (f *File) EachLoaded(lo, hi uint64, each func(format.Extent)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dirty.n > 0 {
		return false
	}
	k := f.committed.seek(lo)
	for e, ok := k.get(); ok && e.Off < hi; e, ok = k.get() {
		each(e.Clip(lo, hi))
		k.next()
	}
	return true
}
