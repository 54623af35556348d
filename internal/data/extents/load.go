package extents

import (
	"bytes"
	"context"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	// MaxExtents is how many extents Map returns at most.
	MaxExtents = 1024
	// loadSpan is the range of a file that is loaded at once, and loadAtOnce about
	// the number of extents in it.
	loadSpan   = 64 << 20
	loadAtOnce = 4096
	// wholeFile is the number of extents up to which a file is loaded as a
	// whole when it is first used.
	wholeFile = 64
	// scanPage is the number of extents in one scan.
	scanPage = 512
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

// ensure loads what is missing of the committed map in [lo, hi), up to
// Options.AtOnce extents, and returns up to where it did: reached > lo, and hi
// unless there are more. Since the index covers a file without gaps, whatever
// the map does not cover below the file's end is not loaded. With errGap,
// nothing lies in [lo, reached).
func (f *File) ensure(ctx context.Context, lo, hi uint64) (reached uint64, err error) {
	if err := f.loadEnd(ctx); err != nil {
		return 0, err
	}
	defer f.account(ctx)
	if lo >= min(hi, f.end) {
		return hi, nil
	}
	f.use(lo)
	c := f.committed.seek(lo)
	if e, ok := c.get(); !ok || e.Off > lo {
		if err := f.load(ctx, lo, f.gapEnd(lo)); err != nil {
			return 0, err
		}
		c = f.committed.seek(lo)
		if e, ok := c.get(); !ok || e.Off > lo {
			return min(hi, f.gapEnd(lo)), fmt.Errorf("inode %d at offset %d: %w", f.ino, lo, errGap)
		}
	}
	for range f.t.opts.AtOnce {
		e, ok := c.get()
		if !ok || e.Off > lo {
			break // the rest is not loaded
		}
		if lo = e.End(); lo >= hi {
			return hi, nil
		}
		c.next()
	}
	if lo >= f.end {
		return hi, nil
	}
	return lo, nil
}

// gapEnd is the end of what can be loaded together with what is at lo, where
// nothing is loaded.
func (f *File) gapEnd(lo uint64) uint64 {
	end := min(lo/loadSpan*loadSpan+loadSpan, f.end)
	c := f.committed.seek(lo)
	if next, ok := c.get(); ok {
		end = min(end, next.Off)
	}
	return end
}

// unload drops the clean extents that lie in [lo, hi) as a whole, if there are
// many: they will not be needed soon.
func (f *File) unload(ctx context.Context, lo, hi uint64) {
	if f.committed.n <= 2*loadAtOnce || !f.submitted(ctx) {
		return
	}
	if c := f.committed.seek(lo); true {
		if e, ok := c.get(); ok && e.Off < lo {
			lo = e.End()
		}
	}
	if c := f.committed.seek(hi - 1); true {
		if e, ok := c.get(); ok && e.End() > hi {
			hi = e.Off
		}
	}
	if lo < hi {
		f.committed.cut(lo, hi, nil)
		f.account(ctx)
	}
}

// submitted says whether the index has all changes that were made to it by this
// file, so that clean extents can be loaded again.
func (f *File) submitted(ctx context.Context) bool {
	if !f.unsubmitted.visible(ctx, f.t.opts.Index) {
		return false
	}
	f.unsubmitted = indexEntry{}
	return true
}

type fileRange struct{ lo, hi uint64 }

// loadEnd finds the end of the committed extents, and with it, if they are
// few, all of them.
func (f *File) loadEnd(ctx context.Context) error {
	if f.endKnown {
		return nil
	}
	r := format.ExtentRange(f.ino, 0, format.MaxFileSize)
	pairs, err := f.t.opts.Index.Scan(ctx, r, wholeFile)
	if err != nil {
		return err
	}
	exts, err := decodeExtents(pairs, f.ino)
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

// load reads the extents of the index that overlap [lo, hi), the first
// loadAtOnce of them if there are more.
func (f *File) load(ctx context.Context, lo, hi uint64) error {
	r := format.ExtentRange(f.ino, lo, hi)
	for n := 0; n < loadAtOnce; n += scanPage {
		pairs, err := f.t.opts.Index.Scan(ctx, r, scanPage)
		if err != nil {
			return err
		}
		exts, err := decodeExtents(pairs, f.ino)
		if err != nil {
			return err
		}
		if n == 0 && lo > 0 && (len(exts) == 0 || exts[0].Off > lo) {
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
	return nil
}

// floor is the last extent of the index that begins before off; the zero
// Extent if there is none.
func (f *File) floor(ctx context.Context, off uint64) (format.Extent, error) {
	r := format.ExtentRange(f.ino, 0, off)
	r.Reverse = true
	pairs, err := f.t.opts.Index.Scan(ctx, r, 1)
	if err != nil || len(pairs) == 0 {
		return format.Extent{}, err
	}
	return format.DecodeExtent(pairs[0].Key, pairs[0].Value, f.ino)
}

func decodeExtents(pairs []meta.Pair, ino uint64) ([]format.Extent, error) {
	exts := make([]format.Extent, 0, len(pairs)+1)
	for _, p := range pairs {
		e, err := format.DecodeExtent(p.Key, p.Value, ino)
		if err != nil {
			return nil, err
		}
		exts = append(exts, e)
	}
	return exts, nil
}

// loaded puts extents of the index into the committed map.
func (f *File) loaded(exts []format.Extent) error {
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
