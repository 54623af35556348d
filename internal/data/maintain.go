package data

import (
	"context"
	"fmt"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

// runMaintainer flushes what has been dirty for long and retires the active
// segment when nobody writes. It has a timer only while there is something to
// wait for: an idle store does nothing.
func (s *Store) runMaintainer() {
	var idle idleWatch
	for wait := time.Duration(0); s.sleep(s.maintainer, wait); {
		s.provideSpare()
		now := time.Now()
		next := s.checkpoint(now)
		next = earlier(next, s.retireIdle(&idle, now))
		wait = 0
		if !next.IsZero() {
			wait = max(time.Until(next), time.Millisecond)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// checkpoint flushes what has been dirty for CheckpointEvery, and returns when
// the next inode is due; the zero time if none is dirty.
func (s *Store) checkpoint(now time.Time) time.Time {
	inos, oldest := s.extents.Dirty().Due(now.Add(-s.opts.CheckpointEvery))
	if len(inos) > 0 && s.failure() == nil {
		if err := s.flushAll(s.ctx, inos); err != nil && s.ctx.Err() == nil {
			s.logger.Error("dirty data could not be committed", "error", err)
		}
		// What was written meanwhile, or failed, has its turn later.
		again := time.Now()
		for _, ino := range inos {
			s.extents.Dirty().Restart(ino, again)
		}
		_, oldest = s.extents.Dirty().Due(time.Time{}.Add(1))
	}
	if oldest.IsZero() {
		return oldest
	}
	return oldest.Add(s.opts.CheckpointEvery)
}

// idleWatch notices when the active segment no longer grows.
type idleWatch struct {
	segment *segment
	size    int64
	since   time.Time
}

// retireIdle retires the active segment when its time has come, and returns
// when to look again; the zero time if there is none. With a content store on
// this machine a segment waits until it has not grown for SealAfter; with one
// far away, where its data is safer, until its first record is that old.
func (s *Store) retireIdle(w *idleWatch, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.active
	if g == nil {
		*w = idleWatch{}
		return time.Time{}
	}
	if w.segment != g || w.size != g.size && !s.opts.CachePages {
		*w = idleWatch{g, g.size, now}
	}
	if now.Sub(w.since) >= s.opts.SealAfter {
		s.retireLocked()
		s.dropSpareLocked()
		*w = idleWatch{}
		return time.Time{}
	}
	return w.since.Add(s.opts.SealAfter)
}

// mayBeDead makes a stored segment without live bytes a candidate for
// deletion. A segment still in the journal is looked at when it is sealed.
func (s *Store) mayBeDead(g *segment) {
	if st := g.getState(); st != stateStored && st != stateMissing && st != stateDead {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.dead[g.id]; !ok {
		s.dead[g.id] = time.Now().Add(s.opts.DeleteAfter)
		s.collector.signal()
	}
}

// expect makes a sealed segment that is nowhere, and that nothing refers to, a
// candidate for deletion after a long time: a server that has lost its stores,
// and does not know it yet, may still be putting the object.
func (s *Store) expect(g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[g.id] = time.Now().Add(max(s.opts.DeleteAfter, lateUpload))
	s.collector.signal()
}

// lateUpload is how late an upload of a server before this one may arrive.
const lateUpload = time.Hour

// runCollector deletes dead segments from the content store.
func (s *Store) runCollector() {
	for wait := time.Duration(0); s.sleep(s.collector, wait); {
		wait = s.collectPass(time.Now())
	}
}

// collectPass deletes the candidates whose time has come and returns how long
// to wait for the next one; 0 if there is none.
func (s *Store) collectPass(now time.Time) time.Duration {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	for _, id := range s.takeDead(now) {
		s.tryCollect(id, now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for _, t := range s.dead {
		next = earlier(next, t)
	}
	if next.IsZero() {
		return 0
	}
	return max(time.Until(next), time.Millisecond)
}

// tryCollect deletes a candidate that was taken out, or puts it back for later.
func (s *Store) tryCollect(id format.SegmentID, now time.Time) {
	done, err := s.collect(id)
	again := sealAgain
	if err != nil && s.ctx.Err() == nil {
		s.stats.storeErrors.Add(1)
		s.logger.Warn("a dead segment could not be deleted", "segment", id.String(), "error", err)
		again = s.opts.RetryEvery
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collectErr = err
	if !done {
		s.dead[id] = now.Add(again)
	}
}

// takeDead takes out the candidates whose time has come. One that is used
// again meanwhile comes back when it is no longer.
func (s *Store) takeDead(now time.Time) (ids []format.SegmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, t := range s.dead {
		if !t.After(now) {
			ids = append(ids, id)
			delete(s.dead, id)
		}
	}
	return ids
}

// collect deletes a segment if nothing refers to it, neither durably nor in
// batches on their way; done says that it is no longer a candidate. The
// record says first that the segment is dead, so that a crash in between
// leaves no object that nobody knows.
func (s *Store) collect(id format.SegmentID) (done bool, err error) {
	if err := s.failure(); err != nil {
		return false, err
	}
	g := s.segment(id)
	if g == nil || !g.unused() {
		return true, nil
	}
	live := format.LiveKey(id)
	if n, err := s.log.Counter(s.ctx, live); err != nil || n != 0 {
		return n < 0, err
	}
	deleted, ok := s.mayDelete(id)
	if !ok {
		return true, nil
	}
	defer deleted()
	if g.rec.State != 0 {
		if err := s.putRecord(g, format.Dead); err != nil {
			return false, err
		}
	}
	g.setState(stateDead)
	s.room.GivePages(s.cache.Forget(id))
	if err := s.content.Delete(s.ctx, id.Object()); err != nil {
		return false, fmt.Errorf("content store: %w", err)
	}
	b := &meta.Batch{}
	b.Delete(format.SegmentKey(id))
	b.Delete(live)
	if err := s.log.Apply(b); err != nil {
		return false, err
	}
	s.segments.remove(id)
	s.cache.ForgetFooter(id)
	s.stats.deleted.Add(1)
	s.stats.deletedBytes.Add(uint64(g.rec.Size))
	return true, nil
}

// drain flushes everything and waits until the journal is empty, as long as
// ctx allows. It fails if dirty data could not be committed.
func (s *Store) drain(ctx context.Context) error {
	if err := s.failure(); err != nil {
		return err
	}
	if !s.opts.Remote {
		if err := s.flushDirty(ctx); err != nil {
			return err
		}
	}
	s.closeSegments()
	s.waitEmpty(ctx)
	if s.opts.Remote {
		if err := s.flushDirty(ctx); err != nil {
			return err
		}
		if n := s.extents.DirtyBytes(); n > 0 {
			s.logger.Warn("the content store did not take data that was not acknowledged; clients write it again", "bytes", n)
		}
	}
	return s.failure()
}

// flushDirty commits the dirty data of all inodes, and what is written to them
// meanwhile.
func (s *Store) flushDirty(ctx context.Context) (err error) {
	for range 3 {
		inos := s.extents.Dirty().Inodes()
		if len(inos) == 0 {
			return nil
		}
		if err = s.flushAll(ctx, inos); ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("dirty data could not be committed: %w", err)
	}
	return nil
}

// closeSegments leaves no segment open.
func (s *Store) closeSegments() {
	for created := s.tryCloseSegments(); created != nil; created = s.tryCloseSegments() {
		<-created
	}
}

// tryCloseSegments is closeSegments, unless one is being made just now: then it
// returns what is closed when that is over.
func (s *Store) tryCloseSegments() (created <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.creating != nil {
		return s.creating
	}
	s.retireLocked()
	s.dropSpareLocked()
	return nil
}

// waitEmpty waits until all segments are in the content store.
func (s *Store) waitEmpty(ctx context.Context) {
	for s.failure() == nil {
		freed := s.room.Freed()
		s.mu.Lock()
		left := len(s.toSeal) + len(s.toStore)
		s.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-freed:
		case <-s.log.Failed():
			return
		case <-ctx.Done():
			s.logger.Warn("segments stay in the journal until the next start", "segments", left)
			return
		}
	}
}
