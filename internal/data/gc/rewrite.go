package gc

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"golang.org/x/sync/errgroup"
)

const (
	// rewriteMemory bounds the bytes that a compaction holds to lay them out in
	// the order of files; a single record may be larger.
	rewriteMemory = 32 << 20
	// rewriteRecord is the largest record that it makes of smaller ones.
	rewriteRecord = 1 << 20
	// rewritePieces bounds the extents that one job moves.
	rewritePieces = 128 << 10
	// moveParallel bounds the inodes whose extents are moved at once; they share
	// commits.
	moveParallel = 16
)

// rewriter is one job of a compaction: what lives in some segments is copied
// into new ones, these are handed off, and then the index is changed where it
// still leads to the old bytes. A crash at any time leaves either the old
// extents or the new ones, and segments that nothing refers to go.
type rewriter struct {
	c       *Compactor
	output  *journal.Output
	pieces  []piece
	memory  []byte // of the pieces
	count   int    // pieces so far
	bytes   int64
	crowded bool // there was no room for another output
	moves   map[uint64][]extents.Move
}

// piece is a part of an inode that lives in a segment to be rewritten.
type piece struct {
	ino  uint64
	ext  format.Extent
	from int // place in the memory
}

// errEnough ends a job early: it moves many extents, or others need the room.
var errEnough = errors.New("the job is large enough")

func (c *Compactor) newRewriter() *rewriter {
	return &rewriter{c: c, output: c.opts.Journal.NewOutput(), moves: map[uint64][]extents.Move{}}
}

func (c *Compactor) rewrite(ctx context.Context, victims []*journal.Segment) (done Compaction, err error) {
	w := c.newRewriter()
	defer w.output.Close()
	if victims, err = w.begin(victims); err != nil {
		return done, err
	}
	before := make([]int64, len(victims))
	for i, g := range victims {
		before[i] = g.Live()
		err := w.copyLive(ctx, g)
		switch {
		case err == errEnough:
			victims = victims[:i+1]
		case errors.Is(err, format.ErrCorrupt) && g.Live() > 0:
			c.opts.Logger.Error("a damaged segment cannot be compacted", "segment", g.ID.String(), "error", err)
			g.Spare(time.Now().Add(spareFor))
		case err != nil && g.Live() > 0:
			return done, err
		}
		if err == errEnough {
			break
		}
	}
	if err := w.finish(ctx); err != nil {
		return done, err
	}
	if w.bytes == 0 && w.crowded {
		return done, journal.ErrCrowded
	}
	if err := w.move(ctx); err != nil {
		return done, err
	}
	for i, g := range victims {
		done.Segments++
		if live := g.Live(); live <= 0 {
			done.Freed += g.Entry().Size
		} else if live > before[i]/2 { // of removed files whose extents are still there, or damaged
			g.Spare(time.Now().Add(spareFor))
		}
	}
	done.Rewritten = w.bytes
	c.stats.compacted.Add(uint64(done.Segments))
	c.stats.rewritten.Add(uint64(w.bytes))
	return done, nil
}

// begin makes the first output, on a full disk a small one. The job is of those
// victims whose live bytes it can take as a whole: if there were no room for
// another output, and a part of each had been copied, none of them would die, and
// the copies would have taken the last of the room.
func (w *rewriter) begin(victims []*journal.Segment) ([]*journal.Segment, error) {
	if err := w.output.Begin(); err != nil {
		return nil, err
	}
	sizes := make([]int64, 0, len(victims))
	for _, g := range victims {
		sizes = append(sizes, copySize(g))
	}
	n := w.output.Fits(sizes)
	if n == 0 {
		return nil, journal.ErrCrowded
	}
	return victims[:n], nil
}

// copySize is what a copy of the segment's live bytes takes, if their records are
// as large as its are, and not very small.
func copySize(g *journal.Segment) int64 {
	live, entry := g.Live(), g.Entry()
	return live + max(live/32, live*(entry.Size-entry.Payload)/max(entry.Payload, 1))
}

func stored(g *journal.Segment) pagecache.Segment {
	return pagecache.Segment{ID: g.ID, Entry: g.Entry()}
}

// copyLive takes what lives in a segment.
func (w *rewriter) copyLive(ctx context.Context, g *journal.Segment) error {
	return w.c.opts.Cache.EachRecord(ctx, stored(g), func(r *pagecache.SegmentReader, rec format.Record, pos uint32) error {
		if err := w.c.allow(ctx, int(rec.Len)); err != nil {
			return err
		}
		whole := format.Extent{Off: rec.Off, Len: uint64(rec.Len), Seg: g.ID, Pos: pos}
		live, err := w.c.opts.Extents.Current(ctx, rec.Inode, whole)
		if err != nil {
			return err
		}
		for _, e := range live {
			p, err := r.Bytes(ctx, uint64(e.Pos), e.Len)
			if err != nil {
				return err
			}
			if err := w.add(ctx, rec.Inode, e, p); err != nil {
				return err
			}
		}
		if w.count >= rewritePieces {
			return errEnough
		}
		return nil
	})
}

func (w *rewriter) add(ctx context.Context, ino uint64, e format.Extent, p []byte) error {
	if len(w.memory)+len(p) > rewriteMemory {
		if err := w.write(ctx); err != nil {
			return err
		}
	}
	w.pieces = append(w.pieces, piece{ino, e, len(w.memory)})
	w.memory = append(w.memory, p...)
	w.count++
	return nil
}

// write appends the pieces to the output in the order of files; neighbours
// become one record.
func (w *rewriter) write(ctx context.Context) error {
	defer func() { w.pieces, w.memory = w.pieces[:0], w.memory[:0] }()
	slices.SortFunc(w.pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.ino, b.ino), cmp.Compare(a.ext.Off, b.ext.Off))
	})
	var p []byte
	for i := 0; i < len(w.pieces); {
		first := w.pieces[i]
		p = p[:0]
		var old []format.Extent
		for ; i < len(w.pieces); i++ {
			next := w.pieces[i]
			off := first.ext.Off + uint64(len(p))
			full := len(p) > 0 && uint64(len(p))+next.ext.Len > rewriteRecord
			if next.ino != first.ino || next.ext.Off != off || full {
				break
			}
			p = append(p, w.memory[next.from:][:next.ext.Len]...)
			old = append(old, next.ext)
		}
		e, err := w.append(ctx, first.ino, first.ext.Off, p)
		if err != nil {
			return err
		}
		w.moves[first.ino] = append(w.moves[first.ino], extents.Move{New: e, Old: old})
	}
	return nil
}

// append writes a record to the output.
func (w *rewriter) append(ctx context.Context, ino, off uint64, p []byte) (format.Extent, error) {
	if err := w.c.allow(ctx, len(p)); err != nil {
		return format.Extent{}, err
	}
	e, err := w.output.Append(ino, off, p)
	if errors.Is(err, journal.ErrCrowded) {
		w.crowded = true
		err = errEnough
	}
	if err == nil {
		w.bytes += int64(len(p))
	}
	return e, err
}

// finish writes what is left, and waits until all of it is in the content store.
func (w *rewriter) finish(ctx context.Context) error {
	if err := w.write(ctx); err != nil && err != errEnough {
		return err
	}
	return w.output.Finish(ctx)
}

// move changes the index.
func (w *rewriter) move(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(moveParallel)
	for _, ino := range slices.Sorted(maps.Keys(w.moves)) {
		moves := w.moves[ino]
		slices.SortFunc(moves, func(a, b extents.Move) int { return cmp.Compare(a.New.Off, b.New.Off) })
		group.Go(func() error { return w.c.opts.Move(ctx, ino, moves) })
	}
	return group.Wait()
}
