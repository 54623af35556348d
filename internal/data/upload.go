package data

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/worker"
	"github.com/dittofs/dittofs/internal/disk"
)

// retryFirst is the first pause after a failure.
const retryFirst = 100 * time.Millisecond

// uploader gives sealed segments to the content store. Safe for concurrent use.
type uploader struct {
	s             *Store
	signal        worker.Signal
	stored, bytes atomic.Uint64 // segments that it has given, and their bytes
	errors        atomic.Uint64

	mu       sync.Mutex // taken under the journal's lock
	underWay map[*journal.Segment]bool
	pause    time.Duration // the last one after a failure
	after    time.Time     // nothing is tried before
	told     worker.Trouble
}

func newUploader(s *Store) *uploader {
	return &uploader{s: s, signal: worker.NewSignal(), underWay: map[*journal.Segment]bool{}}
}

// run hands sealed segments to the content store, several at a time,
// and tries for ever: what has not arrived stays in the journal, whose size
// bounds it. After a failure nothing new is tried for a while.
func (u *uploader) run(ctx context.Context) {
	places := make(chan struct{}, u.s.opts.Transfers)
	var pause time.Duration
	for u.signal.Sleep(ctx, pause) {
		pause = 0
		for u.s.failure.Err() == nil && ctx.Err() == nil {
			g, wait := u.next()
			if g == nil {
				pause = wait
				break
			}
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			u.s.tasks.Go(func(ctx context.Context) {
				u.done(ctx, g, u.handOff(ctx, g))
				<-places
				u.signal.Send()
			})
		}
	}
}

// next returns the oldest segment that waits, which is under way from now on, or
// how long to wait for it; 0 if there is none.
func (u *uploader) next() (*journal.Segment, time.Duration) {
	g := u.s.journal.NextUnsent(u.isUnderWay)
	if g == nil {
		return nil, 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if wait := time.Until(u.after); wait > 0 {
		return nil, wait
	}
	u.underWay[g] = true
	return g, 0
}

func (u *uploader) isUnderWay(g *journal.Segment) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.underWay[g]
}

func (u *uploader) done(ctx context.Context, g *journal.Segment, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.underWay, g)
	if err == nil {
		u.pause, u.after = 0, time.Time{}
		if u.told.Ended() {
			u.s.opts.Logger.Info("the content store takes segments again")
		}
		return
	}
	u.errors.Add(1)
	if time.Now().Before(u.after) || ctx.Err() != nil {
		return // one of several that failed together
	}
	u.pause = min(max(2*u.pause, retryFirst), u.s.opts.RetryEvery)
	u.after = time.Now().Add(u.pause)
	if u.told.Began(err) {
		u.s.opts.Logger.Warn("the content store did not take a segment; it stays in the journal and is tried again",
			"segment", g.ID.String(), "error", err)
	}
}

// behind says whether the content store does not take what it is given, so that
// more segments would only fill the journal.
func (u *uploader) behind() bool {
	_, unsent := u.s.journal.Waiting()
	u.mu.Lock()
	defer u.mu.Unlock()
	return unsent > 0 && u.pause > 0
}

// handOff gives a sealed segment to the content store. Its local copy goes, or
// stays as a copy for readers when the store is far away.
func (u *uploader) handOff(ctx context.Context, g *journal.Segment) error {
	s := u.s
	if dropped, err := s.journal.DropUnused(ctx, g); dropped || err != nil {
		return err
	}
	moved, err := u.put(ctx, g, s.journal.Offer(g))
	if err != nil {
		return err
	}
	if err := s.journal.PutEntry(g, format.Stored); err != nil {
		return err
	}
	if t := g.Footer(); t != nil {
		s.cache.KeepFooter(t)
	}
	u.stored.Add(1) // before those who wait for it look
	u.bytes.Add(uint64(g.Entry().Size))
	s.journal.Sent(g, u.fate(g, moved))
	if g.Unused() {
		s.collector.Unused(g)
	}
	s.compactor.Wake()
	if !g.Quiet() {
		// Not here: a file may be locked by one who waits for the next hand-off.
		s.tasks.Go(func(ctx context.Context) { s.writeback.flushSegment(ctx, g.ID) })
	}
	return nil
}

// fate makes the local copy of a segment that is in the content store a copy of
// pages that may go when room is needed, or lets it be removed.
func (u *uploader) fate(g *journal.Segment, moved bool) journal.Fate {
	switch {
	case moved:
		return journal.Moved
	case u.s.opts.CachePages:
		u.s.cache.Adopt(cached(g))
		return journal.Keep
	}
	return journal.Remove
}

func (u *uploader) put(ctx context.Context, g *journal.Segment, f *disk.Shared) (moved bool, err error) {
	object := g.ID.Object()
	if a, ok := content.As[content.Adopter](u.s.opts.Content); ok {
		if err := u.s.dir.Held(); err != nil {
			return false, err
		}
		moved, err = a.Adopt(ctx, object, f.Name())
		if moved || err != nil && !errors.Is(err, content.ErrExists) {
			return moved, err
		}
	}
	return false, u.s.opts.Content.Put(ctx, object, f, g.Entry().Size)
}
