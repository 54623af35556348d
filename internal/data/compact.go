package data

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
)

const (
	// compactRetry is the pause of the compactor when something is in its way,
	// and spareFor that of a segment that did not get emptier.
	compactRetry = time.Second
	spareFor     = 10 * time.Minute
	// maxCompacted bounds the segments of one job.
	maxCompacted = 64
	// compactBurst is what a compaction may read or write at once.
	compactBurst = 1 << 20
)

// Mover moves extents of an inode that a compaction has copied: those that are
// still current come into the index in place of the old ones, durably. An inode
// that is gone is no error.
type Mover func(ctx context.Context, ino uint64, moves []extents.Move) error

// SetMover sets the function that compaction needs; without it there is none.
func (s *Store) SetMover(m Mover) {
	s.mu.Lock()
	s.mover = m
	s.mu.Unlock()
	s.compactor.signal()
}

// Compaction is what a pass of Compact has done.
type Compaction struct {
	Segments  int   `json:"segments"`  // rewritten
	Rewritten int64 `json:"rewritten"` // bytes of files
	Freed     int64 `json:"freed"`     // bytes of segments that nothing refers to any more
}

// errInTheWay: writers need the room, or the content store is behind.
var errInTheWay = errors.New("compaction waits for the journal")

// runCompactor rewrites segments that are mostly dead, when enough of the store
// is. It sleeps while nothing is freed.
func (s *Store) runCompactor() {
	var told trouble
	for wait := time.Duration(0); s.sleep(s.compactor, wait); {
		wait = 0
		if s.opts.Garbage >= 1 {
			continue
		}
		_, err := s.Compact(s.ctx, s.opts.Garbage, nil)
		if err == nil {
			wait, err = s.layOut(s.ctx, s.opts.Garbage)
		}
		switch {
		case errors.Is(err, errInTheWay):
			wait = compactRetry
		case err != nil && s.open.Err() == nil && s.failure() == nil:
			wait = s.opts.RetryEvery
			if told.began(err) {
				s.logger.Warn("a compaction failed; it is tried again", "error", err)
			}
		case err == nil && told.ended():
			s.logger.Info("compaction works again")
		}
	}
}

// Compact rewrites what still lives in segments of which much is dead, until
// less than the fraction garbage of all stored bytes is, and reports after each
// step. The segments are deleted later, when readers that mapped them are done.
// One pass runs at a time.
func (s *Store) Compact(ctx context.Context, garbage float64, report func(Compaction)) (sum Compaction, err error) {
	err = s.pass(ctx, func(ctx context.Context, mover Mover) error {
		for ctx.Err() == nil {
			victims := s.victims(garbage, time.Now())
			if len(victims) == 0 {
				return s.failure()
			}
			s.mu.Lock()
			busy := s.busyLocked()
			s.mu.Unlock()
			if busy {
				return errInTheWay
			}
			step, err := s.rewriteSegments(ctx, victims, mover)
			sum.Segments += step.Segments
			sum.Rewritten += step.Rewritten
			sum.Freed += step.Freed
			if err != nil {
				return err
			}
			if report != nil {
				report(sum)
			}
		}
		return ctx.Err()
	})
	return sum, err
}

// pass calls f, one at a time, with a context that ends when the store is to be
// closed; without a Mover there is nothing to do.
func (s *Store) pass(ctx context.Context, f func(context.Context, Mover) error) error {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.passes.Add(1)
	mover := s.mover
	s.mu.Unlock()
	defer s.passes.Done()
	if mover == nil {
		return s.failure()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	return f(ctx, mover)
}

// busyLocked says whether a compaction would be in the way of writers.
func (s *Store) busyLocked() bool {
	use := s.room.Use()
	return use.Waiting > 0 || len(s.toSeal)+len(s.toStore) > s.opts.Transfers || use.Journal > use.Limit/2
}

// usage sums the bytes of files in stored segments, and those that files have.
// Segments that a backup keeps do not count: rewriting them would take space and
// give none back.
func (s *Store) usage() (payload, live int64) {
	s.segments.each(func(g *segment) {
		if g.getState() == stateStored && !g.unused() && !s.pinned(g.id) {
			payload += g.rec.Payload
			live += g.live.Load()
		}
	})
	return payload, live
}

// victims are the segments to rewrite next, the emptiest first, as many as fill
// one; none if at most the fraction garbage of all is dead.
func (s *Store) victims(garbage float64, now time.Time) (victims []*segment) {
	if payload, live := s.usage(); float64(payload-live) <= garbage*float64(payload) {
		return nil
	}
	s.segments.each(func(g *segment) {
		if g.getState() == stateStored && !g.unused() && !s.pinned(g.id) && g.spared.Load() <= now.UnixNano() && g.dead() > garbage/2 {
			victims = append(victims, g)
		}
	})
	slices.SortFunc(victims, func(a, b *segment) int {
		switch x, y := a.dead(), b.dead(); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	var sum int64
	for i, g := range victims {
		if sum += g.live.Load(); i == maxCompacted || i > 0 && sum > s.opts.SegmentSize {
			return victims[:i]
		}
	}
	return victims
}

// dead is the fraction of the segment's bytes that no file has any more.
func (g *segment) dead() float64 { return 1 - float64(g.live.Load())/float64(g.rec.Payload) }

// allow waits until a compaction may read or write n bytes more.
func (s *Store) allow(ctx context.Context, n int) error {
	for ; n > 0; n -= compactBurst {
		if err := s.limiter.WaitN(ctx, min(n, compactBurst)); err != nil {
			return err
		}
	}
	return nil
}

// freed notes bytes that files have given up.
func (s *Store) freed(n int64) {
	if s.freedSince.Add(n) >= s.opts.SegmentSize/4 {
		s.freedSince.Store(0)
		s.compactor.signal()
	}
}
