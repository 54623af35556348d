package data

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta"
	"golang.org/x/sync/errgroup"
)

const (
	// flushParallel bounds the inodes that are flushed at once; they share
	// syncs and commits.
	flushParallel = 16
	// retryFirst is the first pause after a failure.
	retryFirst = 100 * time.Millisecond
	// sealAgain is the pause before a segment is looked at again that was
	// waiting for its extents to be committed.
	sealAgain = time.Second
)

// runSealer seals retired segments.
func (s *Store) runSealer() {
	for s.sleep(s.sealer, 0) {
		for s.sealPass() {
			if !s.sleep(s.sealer, sealAgain) {
				return
			}
		}
	}
}

// sleep waits for a signal, or for d if it is not 0; false when the store
// stops.
func (s *Store) sleep(w wake, d time.Duration) bool {
	var timeout <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-s.ctx.Done():
		return false
	case <-w:
	case <-timeout:
	}
	return true
}

// sealPass seals every retired segment that is ready, and says whether some
// are left.
func (s *Store) sealPass() (left bool) {
	s.mu.Lock()
	segments := slices.Clone(s.toSeal)
	s.mu.Unlock()
	for _, g := range segments {
		if s.failure() != nil {
			return false
		}
		if !s.ready(g) {
			left = true
			continue
		}
		if err := s.seal(g); err != nil {
			if s.ctx.Err() == nil {
				s.logger.Error("a segment could not be sealed; it stays in the journal", "segment", g.id.String(), "error", err)
			}
			left = true
		}
	}
	return left
}

// ready says whether a retired segment can be sealed: all its extents are
// committed. With Remote, and by a compaction, they are committed after it is in
// the content store, so only its records must be complete.
func (s *Store) ready(g *segment) bool {
	if s.opts.Remote || g.rewritten {
		return g.writing.Load() == 0
	}
	return s.commitExtents(g)
}

// commitExtents flushes the inodes with dirty extents in the segment, and says
// whether all its extents are committed.
func (s *Store) commitExtents(g *segment) bool {
	if g.quiet() {
		return true
	}
	if err := s.flushAll(s.ctx, s.extents.Dirty().In(g.id)); err != nil && s.ctx.Err() == nil {
		s.logger.Error("dirty data could not be committed", "error", err)
	}
	return g.quiet()
}

// flushAll commits the dirty data of inodes by the callback.
func (s *Store) flushAll(ctx context.Context, inos []uint64) error {
	s.mu.Lock()
	flush := s.flush
	s.mu.Unlock()
	if flush == nil || len(inos) == 0 {
		return nil
	}
	var group errgroup.Group
	group.SetLimit(flushParallel)
	for _, ino := range inos {
		group.Go(func() error {
			err := flush(ctx, ino)
			if err != nil {
				err = fmt.Errorf("inode %d: %w", ino, err)
			}
			return err
		})
	}
	return group.Wait()
}

// seal completes a segment that nobody writes to any more: its footer, a sync,
// its record. A segment that no file uses is dropped instead.
func (s *Store) seal(g *segment) error {
	if err := s.owned(); err != nil {
		return err
	}
	if dropped, err := s.dropUnused(g); dropped || err != nil {
		return err
	}
	f := g.local.Load()
	t, err := format.Scan(f, g.size, g.id, s.opts.Instance, nil)
	if err != nil {
		return err
	}
	if len(t.Bad) > 0 || int64(t.DataLen) < g.size {
		s.logger.Error("a segment has damaged records; their bytes cannot be read", "segment", g.id.String(), "ranges", len(t.Bad))
	}
	if err := s.complete(g, f, t); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.toSeal = slices.DeleteFunc(s.toSeal, func(o *segment) bool { return o == g })
	s.toStore = append(s.toStore, g)
	s.room.Shrink(g.room - disk.OnDisk(g.rec.Size))
	g.room = disk.OnDisk(g.rec.Size)
	s.uploader.signal()
	return nil
}

// complete writes the footer and the record of a segment.
func (s *Store) complete(g *segment, f *disk.Shared, t *format.Footer) error {
	footer := t.Encode(format.RecordSeed(g.id, s.opts.Instance))
	size := int64(t.DataLen) + int64(len(footer))
	if _, err := f.WriteAt(footer, int64(t.DataLen)); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	s.stats.syncs.Add(1)
	if err := f.Datasync(); err != nil {
		s.fail(err)
		return err
	}
	g.rec = format.SegmentEntry{State: format.Sealed, Size: size, FooterCRC: format.FooterChecksum(footer), Payload: t.Payload}
	if err := s.putRecord(g, format.Sealed); err != nil {
		return err
	}
	g.table.Store(t)
	g.setState(stateSealed)
	g.sums.Store(nil)
	s.stats.sealed.Add(1)
	return nil
}

// putRecord makes the segment's state durable.
func (s *Store) putRecord(g *segment, state format.EntryState) error {
	rec := g.rec
	rec.State = state
	b := &meta.Batch{}
	b.Put(format.SegmentKey(g.id), rec.Encode())
	return s.log.Apply(b)
}

// dropUnused removes a segment of the journal that nothing refers to, neither
// durably nor in batches on their way.
func (s *Store) dropUnused(g *segment) (bool, error) {
	if !g.unused() {
		return false, nil
	}
	key := format.LiveKey(g.id)
	n, err := s.log.Counter(s.ctx, key)
	if err != nil || n != 0 {
		return false, err
	}
	deleted, ok := s.mayDelete(g.id)
	if !ok {
		return false, nil
	}
	defer deleted()
	if g.offered {
		// First, so that who is fenced deletes nothing.
		if err := s.putRecord(g, format.Dead); err != nil {
			return false, err
		}
		if err := s.content.Delete(s.ctx, g.id.Object()); err != nil {
			return false, fmt.Errorf("content store: %w", err)
		}
	}
	b := &meta.Batch{}
	b.Delete(format.SegmentKey(g.id))
	b.Delete(key)
	if err := s.log.Apply(b); err != nil {
		return false, err
	}
	g.setState(stateDead)
	s.segments.remove(g.id)
	s.stats.deleted.Add(1)
	s.stats.deletedBytes.Add(uint64(max(g.size, g.rec.Size)))
	if f := g.local.Load(); f != nil {
		if err := s.disk.Remove(f.Name()); err != nil {
			s.logger.Warn("an unused segment could not be removed", "error", err)
		}
	}
	g.dropLocal()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.toSeal = slices.DeleteFunc(s.toSeal, func(o *segment) bool { return o == g })
	s.toStore = slices.DeleteFunc(s.toStore, func(o *segment) bool { return o == g })
	s.room.Leave(g.room, false)
	return true, nil
}
