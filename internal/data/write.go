package data

import (
	"context"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
)

// Append writes p, bytes of inode ino from off on, to the journal. When it
// returns the bytes can be read, but they are not durable and belong to no
// file until the extent is inserted or discarded. While the journal is full it
// waits, and then returns ErrNoSpace.
func (s *Store) Append(ctx context.Context, ino, off uint64, p []byte) (format.Extent, error) {
	if s.tooDirty() {
		if err := s.waitForCommits(ctx, int64(format.RecordHeaderLen+len(p))); err != nil {
			return format.Extent{}, err
		}
	}
	return s.journal.Append(ctx, ino, off, p)
}

// Discard gives up an appended extent that was not inserted.
func (s *Store) Discard(e format.Extent) { s.journal.Discard(e) }

// Sync makes the bytes of the extents durable: on this machine, or with Remote
// in the content store. Callers that come at the same time share one sync of a
// segment, or one hand-off. After a failed sync nothing can be trusted to be
// durable: the store fails for good and calls OnFailure. If the content store
// does not take the bytes within FullTimeout the error is ErrNotStored; a
// caller that holds memory meanwhile is brief, and gets ErrBusy when nothing at
// all arrived there for MaxWait.
func (s *Store) Sync(ctx context.Context, exts []format.Extent, brief bool) error {
	var room [4]journal.Target
	targets := journal.Targets(room[:0], exts)
	if s.opts.Remote {
		return s.awaitStored(ctx, targets, brief)
	}
	return s.journal.Sync(ctx, targets)
}

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
func (s *Store) awaitStored(ctx context.Context, targets []journal.Target, brief bool) error {
	patience, late := s.opts.FullTimeout, ErrNotStored
	if brief {
		patience, late = s.opts.MaxWait, ErrBusy
	}
	var timer *time.Timer
	for stored := s.uploader.stored.Load(); ; {
		freed := s.journal.OnTheirWay(targets)
		if err := s.failure.Err(); err != nil || freed == nil {
			return err
		}
		if timer == nil {
			timer = time.NewTimer(patience)
			defer timer.Stop()
		}
		if now := s.uploader.stored.Load(); brief && now != stored {
			stored = now
			timer.Reset(patience)
		}
		select {
		case <-freed:
		case <-s.failure.Failed():
		case <-ctx.Done():
			return ctx.Err()
		case <-s.tasks.Life().Done():
			return ErrClosed
		case <-timer.C:
			return late
		}
	}
}

// tooDirty says whether too many extents wait for the content store.
func (s *Store) tooDirty() bool {
	return s.opts.Remote && s.extents.Dirty().Extents() >= s.opts.maxDirty
}

// waitForCommits waits until some of them are committed, for a record of some
// bytes. The errors are those of Budget.Reserve.
func (s *Store) waitForCommits(ctx context.Context, record int64) error {
	s.awaitingCommits.Add(1)
	defer s.awaitingCommits.Add(-1)
	budget := s.journal.Budget()
	for deadline := time.Now().Add(s.opts.MaxWait); ; {
		if err := s.failure.Err(); err != nil {
			return err
		}
		freed := budget.Freed()
		if !s.tooDirty() {
			budget.Relieved()
			return nil
		}
		s.journal.Retire()
		if err := budget.Await(ctx, freed, record, deadline); err != nil {
			return err
		}
	}
}

// committed wakes those who wait for it.
func (s *Store) committed() {
	if s.opts.Remote && s.awaitingCommits.Load() > 0 {
		s.journal.Budget().Signal()
	}
}
