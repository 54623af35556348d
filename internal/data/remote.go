package data

import (
	"context"
	"fmt"
	"time"
)

// WaitStored returns when the content store has everything of the file that
// was committed before: durability "remote". Those who wait while a segment is
// on its way share the next one. If the content store does not take them
// within FullTimeout it returns ErrNotStored; they stay in the journal. A
// caller that holds memory meanwhile is brief: it gets ErrBusy when nothing at
// all arrived in the store for MaxWait.
//
// A file remembers only its newest segment, and segments are handed off in
// about their order, so all older ones are waited for.
func (f *File) WaitStored(ctx context.Context, brief bool) error {
	f.mu.Lock()
	through := f.newest
	f.mu.Unlock()
	s := f.s
	patience, late := s.opts.FullTimeout, ErrNotStored
	if brief {
		patience, late = s.opts.MaxWait, ErrBusy
	}
	var timer *time.Timer
	for stored := s.stats.stored.Load(); ; {
		freed := s.onTheirWay(through)
		if err := s.failure(); err != nil || freed == nil {
			return err
		}
		if timer == nil {
			timer = time.NewTimer(patience)
			defer timer.Stop()
		}
		if now := s.stats.stored.Load(); brief && now != stored {
			stored = now
			timer.Reset(patience)
		}
		select {
		case <-freed:
		case <-s.failing:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return ErrClosed
		case <-timer.C:
			return fmt.Errorf("inode %d: %w", f.ino, late)
		}
	}
}

// onTheirWay sees to it that the segments up to through are handed off, and
// returns a channel that is closed when to look again; nil if the journal
// alone has none of them.
func (s *Store) onTheirWay(through SegmentID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.active != nil && s.active.id <= through
	for _, queue := range [][]*segment{s.toSeal, s.toStore} {
		for _, g := range queue {
			waiting = waiting || g.id <= through
		}
	}
	if !waiting {
		return nil
	}
	if len(s.toSeal) == 0 && len(s.toStore) == 0 {
		s.retireLocked()
	}
	return s.room.freed
}

// newestUnsent is the newest segment that may hold bytes of files and is not
// in the content store; 0 if there is none.
func (s *Store) newestUnsent() (id SegmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active != nil {
		id = s.active.id
	}
	for _, queue := range [][]*segment{s.toSeal, s.toStore} {
		for _, g := range queue {
			id = max(id, g.id)
		}
	}
	return id
}
