package data

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/pagecache"
)

const (
	// maxLayouts bounds the files that wait to be laid out again.
	maxLayouts = 1024
	// nextDoor is how far apart in a segment, in pieces that are too small, two
	// extents may lie to count as one piece: those that were written side by side
	// by several writers do not follow each other exactly.
	nextDoor = 4
)

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

// scattering counts the pieces of stored segments in which a reader finds a
// range: what lies behind its predecessor is the same piece.
type scattering struct {
	s      *Store
	last   format.Extent
	pieces int
	bytes  uint64
}

func (c *scattering) add(e format.Extent) {
	if !c.s.mayLayOut(e) {
		return
	}
	end := int64(c.last.Pos) + int64(c.last.Len)
	if distance := int64(e.Pos) - end; e.Seg != c.last.Seg || max(distance, -distance) > nextDoor*c.s.opts.LayOutPiece {
		c.pieces++
	}
	c.last = e
	c.bytes += e.Len
}

// pays says whether the pieces are small on average.
func (c *scattering) pays() bool {
	return c.pieces > 1 && c.bytes < uint64(c.pieces)*uint64(c.s.opts.LayOutPiece)
}

// mayLayOut says whether an extent can be copied elsewhere, and its place comes
// back: it is in the content store, and no backup keeps it there.
func (s *Store) mayLayOut(e format.Extent) bool {
	if e.Hole() {
		return false
	}
	g := s.segment(e.Seg)
	return g != nil && g.getState() == stateStored && !s.pinned(g.id)
}

// noteScattered looks at what a sequential reader has come through.
func (f *File) noteScattered(lo, hi uint64) {
	c := scattering{s: f.s}
	if f.EachLoaded(lo, hi, c.add) && c.pays() { // not if it is being written
		f.s.layouts.add(f.Inode(), lo, hi, time.Now().Add(f.s.opts.LayOutAfter))
		f.s.compactor.signal()
	}
}

// layOut copies ranges that are to be laid out into new segments, in order, until
// none is due, and returns when the next one is; 0 if there is none. Segments
// that are mostly dead come first.
func (s *Store) layOut(ctx context.Context, garbage float64) (wait time.Duration, err error) {
	if s.layouts.n.Load() == 0 {
		return 0, nil
	}
	err = s.pass(ctx, func(ctx context.Context, mover Mover) error {
		for ctx.Err() == nil {
			ino, w, ok := s.layouts.next()
			if !ok {
				wait = 0
				return s.failure()
			}
			if wait = time.Until(w.due); wait > 0 {
				return s.failure()
			}
			if len(s.victims(garbage, time.Now())) > 0 {
				s.compactor.signal()
				return nil
			}
			if s.behind() {
				return errInTheWay
			}
			if err := s.layOutStep(ctx, ino, w, mover); err != nil {
				s.layouts.postpone(ino, time.Now().Add(s.opts.RetryEvery))
				return err
			}
		}
		return ctx.Err()
	})
	return wait, err
}

// behind says whether the content store has not taken everything, so that more
// segments would only fill the journal.
func (s *Store) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busyLocked() || len(s.toStore) > 0 && s.uploads.pause > 0
}

// layOutStep copies the beginning of a range, as much as fits into the memory
// of a job, if it is still scattered.
func (s *Store) layOutStep(ctx context.Context, ino uint64, r layoutRange, mover Mover) error {
	exts, end, err := s.layOutPart(ctx, ino, r)
	if err != nil {
		return err
	}
	c := scattering{s: s}
	for _, e := range exts {
		c.add(e)
	}
	if !c.pays() {
		s.layouts.advance(ino, end)
		return nil
	}
	w := &rewriter{s: s, ctx: ctx, moves: map[uint64][]extents.Move{}}
	defer w.end()
	if err := w.copyExtents(ino, exts); err != nil && err != errEnough {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	if err := w.move(mover); err != nil {
		return err
	}
	s.stats.laidOut.Add(uint64(w.bytes))
	if w.crowded {
		return errInTheWay
	}
	s.layouts.advance(ino, end)
	return nil
}

// layOutPart returns the extents of the index at the beginning of a range that
// can be laid out in one job, and where they end.
func (s *Store) layOutPart(ctx context.Context, ino uint64, r layoutRange) (exts []format.Extent, end uint64, err error) {
	var sum uint64
	end = r.hi
	err = s.extents.Each(ctx, ino, r.lo, r.hi, func(e format.Extent) bool {
		if !s.mayLayOut(e) {
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
func (w *rewriter) copyExtents(ino uint64, exts []format.Extent) error {
	slices.SortFunc(exts, func(a, b format.Extent) int {
		return cmp.Or(cmp.Compare(a.Seg, b.Seg), cmp.Compare(a.Pos, b.Pos))
	})
	var r *pagecache.SegmentReader
	for _, e := range exts {
		g := w.s.segment(e.Seg)
		if g == nil || g.getState() != stateStored {
			continue // overwritten meanwhile
		}
		err := w.s.allow(w.ctx, int(e.Len))
		if err != nil {
			return err
		}
		if r == nil || r.Segment.ID != g.id {
			if r, err = w.s.cache.OpenSegment(w.ctx, g.stored()); err != nil && !errors.Is(err, format.ErrCorrupt) {
				return err
			}
		}
		var p []byte
		if err == nil {
			p, err = r.Bytes(w.ctx, uint64(e.Pos), e.Len)
		}
		if errors.Is(err, format.ErrCorrupt) {
			r = nil
			if g.live.Load() > 0 {
				w.s.logger.Error("damaged bytes of a file cannot be laid out again", "inode", ino, "offset", e.Off, "segment", g.id.String(), "error", err)
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := w.add(ino, e, p); err != nil {
			return err
		}
	}
	return nil
}
