package data

import (
	"context"
	"fmt"
	"time"
)

// WaitStored returns when the content store has all segments of the extents,
// which were committed before: durability "remote". Those who wait while a
// segment is on its way share the next one. If the content store does not take
// them within MaxWait it returns ErrNotStored; they stay in the journal.
func (s *Store) WaitStored(ctx context.Context, exts []Extent) error {
	timer := time.NewTimer(s.opts.MaxWait)
	defer timer.Stop()
	var room [4]syncTarget
	for _, t := range syncTargets(room[:0], exts) {
		for {
			freed := s.onItsWay(t.id)
			if freed == nil {
				break
			}
			if err := s.failure(); err != nil {
				return err
			}
			select {
			case <-freed:
			case <-ctx.Done():
				return ctx.Err()
			case <-s.ctx.Done():
				return ErrClosed
			case <-timer.C:
				return fmt.Errorf("segment %v: %w", t.id, ErrNotStored)
			}
		}
	}
	return s.failure()
}

// onItsWay sees to it that a segment is handed off, and returns a channel that
// is closed when to look again; nil if nothing of it is in the journal alone.
func (s *Store) onItsWay(id SegmentID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.segment(id)
	if g == nil || g.getState() != stateWritable && g.getState() != stateSealed {
		return nil
	}
	if g == s.active && len(s.toSeal) == 0 && len(s.toStore) == 0 {
		s.retireLocked()
	}
	return s.freed
}
