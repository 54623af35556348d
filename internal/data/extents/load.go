package extents

import (
	"bytes"
	"context"
	"fmt"

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
func (f *File) ensure(ctx context.Context, lo, hi uint64) error {
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
func (f *File) loadEnd(ctx context.Context) error {
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
func (f *File) load(ctx context.Context, lo, hi uint64) error {
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
func (f *File) floor(ctx context.Context, off uint64) (format.Extent, error) {
	r := format.ExtentRange(f.ino, 0, off)
	r.Reverse = true
	pairs, err := f.t.opts.Index.Scan(ctx, r, 1)
	if err != nil || len(pairs) == 0 {
		return format.Extent{}, err
	}
	return format.DecodeExtent(pairs[0].Key, pairs[0].Value, f.ino)
}

func (f *File) decode(pairs []meta.Pair) ([]format.Extent, error) {
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
