package gc

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
)

// nextDoor is how far apart in a segment, in pieces that are too small, two
// extents may lie to count as one piece: those that were written side by side
// by several writers do not follow each other exactly.
const nextDoor = 4

// LayoutOptions say which files are laid out again: those of which a reader went
// through a range in order that is in pieces of less than Piece bytes on average,
// After that, unless the file is written before.
type LayoutOptions struct {
	Piece int64
	After time.Duration
}

// scattering counts the pieces of stored segments in which a reader finds a
// range: what lies behind its predecessor is the same piece.
type scattering struct {
	c      *Compactor
	last   format.Extent
	pieces int
	bytes  uint64
}

func (n *scattering) add(e format.Extent) {
	if !n.c.mayLayOut(e) {
		return
	}
	end := int64(n.last.Pos) + int64(n.last.Len)
	distance := int64(e.Pos) - end
	if e.Seg != n.last.Seg || max(distance, -distance) > nextDoor*n.c.opts.Layout.Piece {
		n.pieces++
	}
	n.last = e
	n.bytes += e.Len
}

// pays says whether the pieces are small on average.
func (n *scattering) pays() bool {
	return n.pieces > 1 && n.bytes < uint64(n.pieces)*uint64(n.c.opts.Layout.Piece)
}

// mayLayOut says whether an extent can be copied elsewhere, and its place comes
// back: it is in the content store, and no backup keeps it there.
func (c *Compactor) mayLayOut(e format.Extent) bool {
	if e.Hole() {
		return false
	}
	g := c.opts.Journal.Segments().Get(e.Seg)
	return g != nil && g.State() == journal.Stored && !c.opts.Pins.Pinned(g.ID)
}

// Passed looks at a range of a file that a sequential reader has come through. each
// calls its argument for the extents there; false if they are not known without
// waiting, or are being written.
func (c *Compactor) Passed(ino, lo, hi uint64, each func(lo, hi uint64, f func(format.Extent)) bool) {
	n := scattering{c: c}
	if each(lo, hi, n.add) && n.pays() {
		c.layouts.add(ino, lo, hi, time.Now().Add(c.opts.Layout.After))
		c.Wake()
	}
}

// Written takes a file out of those that wait to be laid out: what is overwritten
// now would be copied for nothing.
func (c *Compactor) Written(ino uint64) { c.layouts.drop(ino) }

// LayOut copies ranges that are to be laid out into new segments, in order, until
// none is due, and returns when the next one is; 0 if there is none. Segments
// that are mostly dead come first.
func (c *Compactor) LayOut(ctx context.Context, garbage float64) (wait time.Duration, err error) {
	if c.layouts.n.Load() == 0 {
		return 0, nil
	}
	err = c.pass(ctx, func(ctx context.Context) error {
		for ctx.Err() == nil {
			ino, r, ok := c.layouts.next()
			if !ok {
				wait = 0
				return c.opts.Failure.Err()
			}
			if wait = time.Until(r.due); wait > 0 {
				return c.opts.Failure.Err()
			}
			if len(c.victims(garbage, time.Now())) > 0 {
				c.Wake()
				return nil
			}
			if c.busy() || c.opts.Behind() {
				return journal.ErrCrowded
			}
			if err := c.layOutStep(ctx, ino, r); err != nil {
				c.layouts.postpone(ino, time.Now().Add(c.opts.RetryEvery))
				return err
			}
		}
		return ctx.Err()
	})
	return wait, err
}

// layOutStep copies the beginning of a range, as much as fits into the memory
// of a job, if it is still scattered.
func (c *Compactor) layOutStep(ctx context.Context, ino uint64, r layoutRange) error {
	exts, end, err := c.layOutPart(ctx, ino, r)
	if err != nil {
		return err
	}
	n := scattering{c: c}
	for _, e := range exts {
		n.add(e)
	}
	if !n.pays() {
		c.layouts.advance(ino, end)
		return nil
	}
	w := c.newRewriter()
	defer w.output.Close()
	if err := w.copyExtents(ctx, ino, exts); err != nil && err != errEnough {
		return err
	}
	if err := w.finish(ctx); err != nil {
		return err
	}
	if err := w.move(ctx); err != nil {
		return err
	}
	c.stats.laidOut.Add(uint64(w.bytes))
	if w.crowded {
		return journal.ErrCrowded
	}
	c.layouts.advance(ino, end)
	return nil
}

// layOutPart returns the extents of the index at the beginning of a range that
// can be laid out in one job, and where they end.
func (c *Compactor) layOutPart(
	ctx context.Context, ino uint64, r layoutRange,
) (exts []format.Extent, end uint64, err error) {
	var sum uint64
	end = r.hi
	err = c.opts.Extents.Each(ctx, ino, r.lo, r.hi, func(e format.Extent) bool {
		if !c.mayLayOut(e) {
			return true
		}
		if sum += e.Len; sum > rewriteMemory && len(exts) > 0 || len(exts) == rewritePieces {
			end = e.Off
			return false
		}
		exts = append(exts, e)
		return true
	})
	return exts, end, err
}

// copyExtents takes extents of an inode in the order of their places, so that
// one request reads what lies together. What is damaged stays where it is.
func (w *rewriter) copyExtents(ctx context.Context, ino uint64, exts []format.Extent) error {
	slices.SortFunc(exts, func(a, b format.Extent) int {
		return cmp.Or(cmp.Compare(a.Seg, b.Seg), cmp.Compare(a.Pos, b.Pos))
	})
	var r *pagecache.SegmentReader
	for _, e := range exts {
		g := w.c.opts.Journal.Segments().Get(e.Seg)
		if g == nil || g.State() != journal.Stored {
			continue // overwritten meanwhile
		}
		err := w.c.allow(ctx, int(e.Len))
		if err != nil {
			return err
		}
		if r == nil || r.Segment.ID != g.ID {
			if r, err = w.c.opts.Cache.OpenSegment(ctx, stored(g)); err != nil && !errors.Is(err, format.ErrCorrupt) {
				return err
			}
		}
		var p []byte
		if err == nil {
			p, err = r.Bytes(ctx, uint64(e.Pos), e.Len)
		}
		if errors.Is(err, format.ErrCorrupt) {
			r = nil
			if g.Live() > 0 {
				w.c.opts.Logger.Error("damaged bytes of a file cannot be laid out again",
					"inode", ino, "offset", e.Off, "segment", g.ID.String(), "error", err)
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := w.add(ctx, ino, e, p); err != nil {
			return err
		}
	}
	return nil
}
