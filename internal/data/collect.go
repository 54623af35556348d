package data

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// compactPatience is how long a collection waits for writers that need the
// journal, without getting on.
const compactPatience = 30 * time.Second

// Progress is how far a collection is.
type Progress struct {
	Compacted int   // segments that were rewritten, because much of them was dead
	Rewritten int64 // bytes of files that lived in them
	Dead      int   // segments that nothing refers to and that are still there
	Expected  int   // see Store.Expected
	Deleted   int   // segments, since it began
	Freed     int64 // bytes of those
	Err       error // why something is left; it is tried again later
}

// collection is one call of Collect.
type collection struct {
	Progress
	store          *Store
	emit           func(Progress) error
	deleted, freed uint64 // by the store, before
}

// Collect gives space back: it rewrites segments until at most the fraction
// garbage of all stored bytes is dead, and deletes those that are dead as a
// whole, as soon as the readers that mapped them before have had their time. It
// reports after each step, and returns when all has been tried.
func (s *Store) Collect(ctx context.Context, garbage float64, emit func(Progress) error) error {
	c := &collection{store: s, emit: emit, deleted: s.stats.deleted.Load(), freed: s.stats.deletedBytes.Load()}
	if err := c.report(); err != nil {
		return err
	}
	if err := c.compact(ctx, garbage); err != nil {
		return err
	}
	for _, dead := range s.candidates() {
		if err := s.pause(ctx, time.Until(dead.due)); err != nil {
			return err
		}
		if err := s.collectNow(dead.segment); err != nil {
			c.Err = err
		}
		if err := c.report(); err != nil {
			return err
		}
	}
	c.finish()
	return errors.Join(c.emit(c.Progress), s.failure())
}

// finish looks how far it is when the collector is not just at it.
func (c *collection) finish() {
	c.store.collecting.Lock()
	defer c.store.collecting.Unlock()
	c.count()
}

// report emits how far it is.
func (c *collection) report() error {
	c.count()
	return c.emit(c.Progress)
}

func (c *collection) count() {
	c.Dead, c.Expected = c.store.countDead()
	c.Deleted = int(c.store.stats.deleted.Load() - c.deleted)
	c.Freed = int64(c.store.stats.deletedBytes.Load() - c.freed)
}

// compact is Store.Compact, again and again while writers are in its way.
func (c *collection) compact(ctx context.Context, garbage float64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for giveUp := time.Now().Add(compactPatience); ; {
		segments, bytes := c.Compacted, c.Rewritten
		sum, err := c.store.Compact(ctx, garbage, func(sum Compaction) {
			c.Compacted, c.Rewritten = segments+sum.Segments, bytes+sum.Rewritten
			if err := c.report(); err != nil {
				cancel(err)
			}
		})
		c.Compacted, c.Rewritten = segments+sum.Segments, bytes+sum.Rewritten
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, errInTheWay):
			return err
		case sum.Segments > 0:
			giveUp = time.Now().Add(compactPatience)
		case time.Now().After(giveUp):
			c.Err = err
			return nil
		}
		if err := c.store.pause(ctx, compactRetry); err != nil {
			return err
		}
	}
}

// candidate is a segment that was dead when it was looked for.
type candidate struct {
	*segment
	due time.Time
}

// candidates lists the dead segments, first those whose time comes first.
func (s *Store) candidates() (list []candidate) {
	s.mu.Lock()
	dead := maps.Clone(s.dead)
	s.mu.Unlock()
	for id, due := range dead {
		if g := s.segment(id); g != nil && g.getState() != stateMissing { // those can wait
			list = append(list, candidate{g, due})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return a.due.Compare(b.due) })
	return list
}

// collectNow deletes a segment that was dead and due, unless the collector has
// done so. The error says why it is left.
func (s *Store) collectNow(g *segment) error {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	now := time.Now()
	s.mu.Lock()
	due, found := s.dead[g.id]
	if found = found && !due.After(now); found {
		delete(s.dead, g.id)
	}
	s.mu.Unlock()
	if found {
		s.tryCollect(g.id, now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, left := s.dead[g.id]; left {
		return s.collectErr
	}
	return nil
}

// pause waits for d, or until ctx ends, or the store stops.
func (s *Store) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping:
		return ErrClosed
	case <-timer.C:
		return nil
	}
}

// Dead counts the segments that wait to be deleted.
func (s *Store) Dead() int {
	dead, _ := s.countDead()
	return dead
}

// Expected counts the segments that are nowhere, and that nothing refers to: they
// are forgotten when no upload of a server before this one can arrive any more.
func (s *Store) Expected() int {
	_, expected := s.countDead()
	return expected
}

func (s *Store) countDead() (dead, expected int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.dead {
		if g := s.segment(id); g != nil && g.getState() == stateMissing {
			expected++
		} else {
			dead++
		}
	}
	return dead, expected
}
