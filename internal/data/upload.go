package data

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// runUploader hands sealed segments to the content store, several at a time,
// and tries for ever: what has not arrived stays in the journal, whose size
// bounds it. After a failure nothing new is tried for a while.
func (s *Store) runUploader() {
	places := make(chan struct{}, s.opts.Transfers)
	var pause time.Duration
	for s.sleep(s.uploader, pause) {
		pause = 0
		for s.failure() == nil && s.ctx.Err() == nil {
			g, wait := s.nextUpload()
			if g == nil {
				pause = wait
				break
			}
			select {
			case places <- struct{}{}:
			case <-s.ctx.Done():
				return
			}
			s.work.Go(func() {
				s.uploaded(g, s.handOff(s.ctx, g))
				<-places
				s.uploader.signal()
			})
		}
	}
}

// uploads is the state of the uploader, under Store.mu.
type uploads struct {
	underWay map[*segment]bool
	pause    time.Duration // the last one after a failure
	after    time.Time     // nothing is tried before
	told     trouble
}

// trouble is what the log was told last of something that is tried for ever: it
// is told again when it is another.
type trouble struct{ what string }

// began says whether the error is news.
func (t *trouble) began(err error) bool {
	if what := cause(err); what != t.what {
		t.what = what
		return true
	}
	return false
}

// ended says whether there was any.
func (t *trouble) ended() bool {
	was := t.what != ""
	t.what = ""
	return was
}

// cause is the innermost error: those around it name another segment each time.
func cause(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// nextUpload returns the oldest segment that waits, or how long to wait for
// it; 0 if there is none.
func (s *Store) nextUpload() (*segment, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.toStore {
		if s.uploads.underWay[g] {
			continue
		}
		if wait := time.Until(s.uploads.after); wait > 0 {
			return nil, wait
		}
		if s.uploads.underWay == nil {
			s.uploads.underWay = map[*segment]bool{}
		}
		s.uploads.underWay[g] = true
		return g, 0
	}
	return nil, 0
}

func (s *Store) uploaded(g *segment, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &s.uploads
	delete(u.underWay, g)
	if err == nil {
		u.pause, u.after = 0, time.Time{}
		if u.told.ended() {
			s.logger.Info("the content store takes segments again")
		}
		return
	}
	s.stats.storeErrors.Add(1)
	if time.Now().Before(u.after) || s.ctx.Err() != nil {
		return // one of several that failed together
	}
	u.pause = min(max(2*u.pause, retryFirst), s.opts.RetryEvery)
	u.after = time.Now().Add(u.pause)
	if u.told.began(err) {
		s.logger.Warn("the content store did not take a segment; it stays in the journal and is tried again", "segment", g.id.String(), "error", err)
	}
}

// handOff gives a sealed segment to the content store. Its local copy goes, or
// stays as a copy for readers when the store is far away.
func (s *Store) handOff(ctx context.Context, g *segment) error {
	if dropped, err := s.dropUnused(g); dropped || err != nil {
		return err
	}
	f := g.local.Load()
	g.offered = true
	moved, err := s.put(ctx, g, f)
	if err != nil {
		return err
	}
	if err := s.putRecord(g, format.Stored); err != nil {
		return err
	}
	if t := g.table.Load(); t != nil {
		s.cache.KeepFooter(t)
	}
	s.stats.stored.Add(1) // before those who wait for it look
	s.stats.storedBytes.Add(uint64(g.rec.Size))
	s.keepCopy(g, f, moved)
	if g.unused() {
		s.mayBeDead(g)
	}
	s.compactor.signal()
	if !g.quiet() {
		// Not here: a file may be locked by one who waits for the next hand-off.
		s.work.Go(func() { s.commitExtents(g) })
	}
	return nil
}

// keepCopy makes the local copy of a segment that is in the content store a
// copy of pages that may go when room is needed, or removes it.
func (s *Store) keepCopy(g *segment, f *disk.Shared, moved bool) {
	keep := s.opts.CachePages && !moved
	if keep {
		s.cache.Adopt(g.stored())
	}
	g.setState(stateStored)
	g.dropLocal()
	if !keep && !moved {
		if err := s.disk.Remove(f.Name()); err != nil {
			s.logger.Warn("a segment's local copy could not be removed", "error", err)
		}
	}
	s.mu.Lock()
	s.toStore = slices.DeleteFunc(s.toStore, func(o *segment) bool { return o == g })
	s.mu.Unlock()
	s.room.Leave(g.room, keep)
	s.room.Fit()
}

func (s *Store) put(ctx context.Context, g *segment, f *disk.Shared) (moved bool, err error) {
	object := g.id.Object()
	if a, ok := content.As[content.Adopter](s.content); ok {
		if err := s.owned(); err != nil {
			return false, err
		}
		moved, err = a.Adopt(ctx, object, f.Name())
		if moved || err != nil && !errors.Is(err, content.ErrExists) {
			return moved, err
		}
	}
	return false, s.content.Put(ctx, object, f, g.rec.Size)
}
