package data

import (
	"context"
	"time"
)

// With durability "remote" (Options.Remote) an extent is committed to the index
// only when its segment is in the content store. Until then the index refers to
// the bytes that were there before, which are in the content store too: whoever
// loses the journal loses nothing that was acknowledged.

// maxDirtyExtents bounds the extents that wait for the content store with
// Remote: they are in memory, and the journal alone would allow very many small
// ones. Each takes 32 bytes, and if it is the only one of its file 1 KiB with
// the inode.
const maxDirtyExtents = 1 << 17

// awaitStored returns when the content store has the segments of the targets.
func (s *Store) awaitStored(ctx context.Context, targets []syncTarget, brief bool) error {
	patience, late := s.opts.FullTimeout, ErrNotStored
	if brief {
		patience, late = s.opts.MaxWait, ErrBusy
	}
	var timer *time.Timer
	for stored := s.stats.stored.Load(); ; {
		freed := s.onTheirWay(targets)
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
			return late
		}
	}
}

// onTheirWay sees to it that the segments of the targets are handed off, and
// returns a channel that is closed when to look again; nil if the journal alone
// has none of them. Those who come while a segment is on its way share the next
// one.
func (s *Store) onTheirWay(targets []syncTarget) <-chan struct{} {
	freed := s.room.Freed() // before anything is looked at
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := false
	for _, t := range targets {
		g := s.segment(t.id)
		waiting = waiting || g != nil && g.unsent()
	}
	for _, g := range s.toStore {
		waiting = waiting || g.inherited
	}
	if !waiting {
		return nil
	}
	if len(s.toSeal) == 0 && len(s.toStore) == 0 {
		s.retireLocked()
	}
	return freed
}

// tooDirty says whether too many extents wait for the content store.
func (s *Store) tooDirty() bool { return s.opts.Remote && s.extents.Dirty().Extents() >= s.maxDirty }

// waitForCommits waits until some of them are committed, for a record of some
// bytes. The errors are those of Budget.Reserve.
func (s *Store) waitForCommits(ctx context.Context, record int64) error {
	s.awaitingCommits.Add(1)
	defer s.awaitingCommits.Add(-1)
	for deadline := time.Now().Add(s.opts.MaxWait); ; {
		freed := s.room.Freed()
		if !s.tooDirty() {
			s.room.Relieved()
			return nil
		}
		s.retire()
		if err := s.room.Await(ctx, freed, record, deadline); err != nil {
			return err
		}
	}
}

// retire hands the active segment, if there is one, to the sealer.
func (s *Store) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retireLocked()
}

// committed wakes those who wait for it.
func (s *Store) committed() {
	if s.opts.Remote && s.awaitingCommits.Load() > 0 {
		s.room.Signal()
	}
}
