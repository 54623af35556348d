package data

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dittofs/dittofs/internal/disk"
)

const (
	// maxWaitingBytes bounds the writes that wait for room once the journal
	// has been full for busyAfter: they hold memory that readers need too.
	maxWaitingBytes = 32 << 20
	busyAfter       = time.Second
)

// room is what the files of the cache directory may take and take, under
// Store.mu. journal is reserved by segments that are not in the content store,
// pages is taken by copies of what is, which give way to the journal.
type room struct {
	limit, journal, pages int64
	files, maxFiles       int           // segments of the journal, each of which is open
	waiting               int64         // bytes of writers that wait for room
	fullSince             time.Time     // of the first of them since room was given back
	freed                 chan struct{} // closed and replaced when something may have changed
}

// newRoom leaves a little of the cache for directories and markers.
func newRoom(cacheSize int64, maxFiles int) room {
	return room{limit: cacheSize - cacheSize/128, maxFiles: maxFiles, freed: make(chan struct{})}
}

// take reserves bytes of the journal for a segment.
func (r *room) take(n int64) {
	r.journal += n
	r.files++
}

// leave gives back what a segment has taken.
func (r *room) leave(n int64) {
	r.files--
	r.release(n)
}

func (r *room) fits(n int64) bool { return r.journal+r.pages+n <= r.limit }

// crowded says whether so many bytes more are too many for a segment that no
// writer waits for.
func (r *room) crowded(n int64) bool { return r.journal+n > r.limit/2 || r.files >= r.maxFiles/2 }

// signal wakes those who wait for a change.
func (r *room) signal() {
	close(r.freed)
	r.freed = make(chan struct{})
}

// release gives bytes of the journal back.
func (r *room) release(n int64) {
	r.journal -= n
	r.fullSince = time.Time{}
	r.signal()
}

// segmentRoom is what the file of an open segment takes, with its footer.
func segmentRoom(capacity int64) int64 { return disk.OnDisk(capacity + footerRoom(capacity)) }

// waitForRoom waits until n bytes fit into the journal, for a record of some
// bytes; the lock is held when it is called and when it returns. Pages give
// way. What the content store does not take in time makes the writer try again
// later (ErrBusy), and after FullTimeout without any progress give up
// (ErrNoSpace).
func (s *Store) waitForRoom(ctx context.Context, n, record int64, deadline time.Time) error {
	r := &s.room
	if n > r.limit {
		return fmt.Errorf("a segment of %d bytes exceeds the cache of %d: %w", n, s.opts.CacheSize, ErrNoSpace)
	}
	for !r.fits(n) || r.files >= r.maxFiles {
		if !r.fits(n) && r.pages > 0 && s.evictLocked(r.journal+r.pages+n-r.limit) {
			continue
		}
		if err := s.awaitRoom(ctx, record, deadline); err != nil {
			return err
		}
		if err := s.usableLocked(); err != nil {
			return err
		}
	}
	r.fullSince = time.Time{}
	return nil
}

// makeRoom is waitForRoom without waiting.
func (s *Store) makeRoom(n int64) error {
	for !s.room.fits(n) {
		if s.room.pages == 0 || !s.evictLocked(s.room.journal+s.room.pages+n-s.room.limit) {
			return ErrNoSpace
		}
	}
	return nil
}

// evictLocked removes pages of at least n bytes, if there are that many; false
// if none went. It gives the lock up meanwhile.
func (s *Store) evictLocked(n int64) bool {
	s.mu.Unlock()
	gone := s.cache.Evict(n)
	s.mu.Lock()
	s.room.pages -= gone
	return gone > 0
}

func (s *Store) awaitRoom(ctx context.Context, record int64, deadline time.Time) error {
	r := &s.room
	if r.fullSince.IsZero() {
		r.fullSince = time.Now()
	}
	end := r.fullSince.Add(s.opts.FullTimeout)
	if !time.Now().Before(end) {
		return s.full()
	}
	if end.Before(deadline) {
		deadline = end
	}
	err := s.park(ctx, r.freed, record, deadline)
	if errors.Is(err, ErrBusy) && !r.fullSince.IsZero() && !time.Now().Before(end) {
		return s.full()
	}
	return err
}

func (s *Store) full() error {
	return fmt.Errorf("the cache is full of %d bytes that the content store does not take: %w", s.room.journal, ErrNoSpace)
}

// park lets the writer of some bytes wait for c until the deadline (ErrBusy);
// the lock is held when it is called and when it returns.
func (s *Store) park(ctx context.Context, c <-chan struct{}, record int64, deadline time.Time) error {
	r := &s.room
	if r.waiting+record > maxWaitingBytes && !r.fullSince.IsZero() && time.Since(r.fullSince) > busyAfter {
		return fmt.Errorf("too many writers wait for the content store: %w", ErrBusy)
	}
	s.stats.waits.Add(1)
	r.waiting += record
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		r.waiting -= record
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c:
		return nil
	case <-s.failing:
		return s.failure()
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping:
		return ErrClosed
	case <-timer.C:
		return fmt.Errorf("the cache is full: %w", ErrBusy)
	}
}

// pageRoom is the room of the store as the page cache sees it.
type pageRoom struct{ *Store }

// TakePages reserves n bytes for pages; false if they cannot be had without
// taking them from writers.
func (s pageRoom) TakePages(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 8 {
		if s.room.waiting > 0 || s.closed {
			return false
		}
		if s.room.fits(n) {
			s.room.pages += n
			return true
		}
		if !s.evictLocked(s.room.journal + s.room.pages + n - s.room.limit) {
			return false
		}
	}
	return false
}

// GivePages takes back what TakePages gave.
func (s pageRoom) GivePages(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.pages -= n
	s.room.signal()
}
