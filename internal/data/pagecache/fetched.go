package pagecache

import (
	"context"
	"slices"
	"time"
)

// Flights that have arrived are kept for a while: most of what is fetched ahead
// is read soon, and writing it to the cache takes longer than fetching it from a
// content store that is near. Their memory goes to the next fetch that needs it.

// keepPages writes the pages of a fetch to the cache, unless its memory is
// needed before its turn comes: a disk that is slower than the content store
// keeps what it can, and does not hold readers up.
func (s *Cache) keepPages(ctx context.Context, f *fetch) {
	select {
	case s.fetcher.writers <- struct{}{}:
	case <-f.gone:
		return
	case <-ctx.Done():
		return
	}
	defer func() { <-s.fetcher.writers }()
	if !s.fetcher.beginWriting(f) {
		return
	}
	for page := f.first; page <= f.last; page++ {
		part, _ := f.c.part(page, f.data, f.off)
		s.copies.put(f.c, page, part)
	}
	s.fetcher.endWriting(f)
}

// take reserves memory for a fetch, at the cost of those kept for longest.
func (f *fetcher) take(ctx context.Context, n int64) error {
	for !f.memory.TryAcquire(n) {
		if f.dropOldest() {
			continue
		}
		f.wanting.Add(1)
		var err error
		dropped := f.dropOldest() // one that came before it could see that it is wanted
		if !dropped {
			err = f.memory.Acquire(ctx, n)
		}
		f.wanting.Add(-1)
		if err != nil {
			return ErrClosed
		}
		if !dropped {
			break
		}
	}
	return nil
}

// keeps is the number of fetches that are kept.
func (f *fetcher) keeps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.kept)
}

// keep leaves a fetch to readers for a while, or until its memory is needed.
func (f *fetcher) keep(fl *fetch) {
	f.mu.Lock()
	f.kept = append(f.kept, fl)
	f.mu.Unlock()
	time.AfterFunc(f.keepFor, func() { f.expire(fl) })
	f.giveWay()
}

// giveWay drops kept fetches as long as others wait for their memory.
func (f *fetcher) giveWay() {
	for f.wanting.Load() > 0 && f.dropOldest() {
	}
}

// beginWriting says that a fetch is kept, and will be until endWriting.
func (f *fetcher) beginWriting(fl *fetch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.writing = slices.Contains(f.kept, fl)
	return fl.writing
}

func (f *fetcher) endWriting(fl *fetch) {
	f.mu.Lock()
	fl.writing = false
	expired := fl.expired
	f.mu.Unlock()
	if expired {
		f.expire(fl)
	}
	f.giveWay()
}

// expire drops a fetch, now or when it was written.
func (f *fetcher) expire(fl *fetch) {
	f.mu.Lock()
	fl.expired = true
	i := slices.Index(f.kept, fl)
	if i < 0 || fl.writing {
		f.mu.Unlock()
		return
	}
	f.kept = slices.Delete(f.kept, i, i+1)
	f.mu.Unlock()
	f.drop(fl)
}

// dropOldest drops the fetch that was kept for longest of those that can go;
// false if there is none.
func (f *fetcher) dropOldest() bool {
	f.mu.Lock()
	i := slices.IndexFunc(f.kept, func(fl *fetch) bool { return !fl.writing })
	if i < 0 {
		f.mu.Unlock()
		return false
	}
	oldest := f.kept[i]
	f.kept = slices.Delete(f.kept, i, i+1)
	f.mu.Unlock()
	f.drop(oldest)
	return true
}

// drop ends the life of a fetch that was taken out of those that are kept.
func (f *fetcher) drop(fl *fetch) {
	close(fl.gone)
	fl.c.mu.Lock()
	fl.c.detach(fl)
	fl.c.mu.Unlock()
	f.memory.Release(fl.c.length(fl.first, fl.last))
}
