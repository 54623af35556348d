package data

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Progress is how far a collection is.
type Progress struct {
	Dead    int   // segments that nothing refers to and that are still there
	Deleted int   // segments
	Freed   int64 // bytes of those
	Err     error // of the last that could not be deleted; it is tried again later
}

// candidate is a segment that was dead when a collection began.
type candidate struct {
	*segment
	due time.Time
}

// Collect deletes the segments that are dead now, as soon as the readers that
// mapped them before have had their time, and reports after each. It returns
// when all have been tried.
func (s *Store) Collect(ctx context.Context, emit func(Progress) error) error {
	left := s.candidates()
	p := Progress{Dead: len(left)}
	if err := emit(p); err != nil {
		return err
	}
	for _, c := range left {
		if err := s.pause(ctx, time.Until(c.due)); err != nil {
			return err
		}
		s.collectNow(c.segment, &p)
		if err := emit(p); err != nil {
			return err
		}
	}
	return s.failure()
}

// candidates lists the dead segments, first those whose time comes first.
func (s *Store) candidates() (list []candidate) {
	s.mu.Lock()
	dead := maps.Clone(s.dead)
	s.mu.Unlock()
	for id, due := range dead {
		if g := s.segment(id); g != nil {
			list = append(list, candidate{g, due})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return a.due.Compare(b.due) })
	return list
}

// collectNow deletes a segment that was dead and due, unless the collector has
// done so, or a failure before makes it wait.
func (s *Store) collectNow(g *segment, p *Progress) {
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
	gone := s.segment(g.id) == nil
	if gone {
		p.Deleted++
		p.Freed += g.rec.size
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Dead = len(s.dead)
	if !gone && s.collectErr != nil {
		p.Err = s.collectErr
	}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dead)
}
