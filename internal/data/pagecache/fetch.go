package pagecache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

const (
	// maxRun bounds the bytes of one request to the content store.
	maxRun = 4 << 20
	// cacheWriters bounds the fetches that are being written to the cache.
	cacheWriters = 2
	// maxRequests bounds the requests to the content store that fetches have
	// under way.
	maxRequests = 64
)

// fetch is a fetch under way of consecutive pages of a segment. Everybody who
// needs one of them waits for the same fetch.
type fetch struct {
	first, last int
	done        chan struct{}
	off         int64 // of data, constant once done
	data        []byte
	err         error
	c           *segmentCopy
	gone        chan struct{} // closed when it is no longer kept
	// Under fetcher.mu: it is being written to the cache and stays until then,
	// and it has been kept for long enough.
	writing, expired bool
}

// arrived says whether the bytes are here.
func (f *fetch) arrived() bool {
	select {
	case <-f.done:
		return f.err == nil
	default:
		return false
	}
}

// fetcher fetches pages of stored segments into the cache.
type fetcher struct {
	memory   *semaphore.Weighted
	places   *semaphore.Weighted // of requests
	shares   shares
	mu       sync.Mutex
	kept     []*fetch // the oldest first
	keepFor  time.Duration
	footers  map[format.SegmentID]*footerFetch
	underWay atomic.Int64 // fetches that have not arrived
	// wanting counts fetches that wait for memory.
	wanting atomic.Int64
	writers chan struct{} // of the cache, with cacheWriters places
}

func (f *fetcher) init(s *Cache) {
	memory := s.opts.FetchMemory
	if memory == 0 {
		memory = max(64<<20, 2*s.opts.ReadAhead, 2*s.opts.PageSize)
	}
	f.memory = semaphore.NewWeighted(memory)
	f.places = semaphore.NewWeighted(maxRequests)
	f.shares.total, f.shares.began = memory, time.Now()
	if f.keepFor = s.opts.KeepFetched; f.keepFor == 0 {
		f.keepFor = 3 * time.Second
	}
	f.writers = make(chan struct{}, cacheWriters)
	f.footers = map[format.SegmentID]*footerFetch{}
}

// readCopy reads an extent of a stored segment by way of the cache. What is
// damaged there is fetched again; what is damaged in the store is ErrCorrupt.
func (s *Cache) readCopy(ctx context.Context, g Segment, e format.Extent, mem []byte, noWait bool) ([]byte, error) {
	t := s.footers.get(g.ID)
	if t == nil && noWait {
		return nil, ErrWouldBlock
	}
	c := s.copies.of(g)
	if t == nil {
		// The pages need not wait for the footer: it comes at the same time.
		if lo, hi := int64(e.Pos), int64(e.Pos)+int64(e.Len); hi <= c.size {
			s.join(g, c, c.absent(int(lo>>c.shift), int((hi+1<<c.shift-1)>>c.shift)))
		}
		var err error
		if t, err = s.fetchFooter(ctx, g, c); err != nil {
			return nil, err
		}
	}
	start := uint64(e.Pos)
	lo, hi, err := t.Covers(start, start+e.Len)
	if err != nil {
		return nil, err
	}
	p := mem[:hi-lo]
	absent := s.readPresent(c, t, p, int64(lo))
	if len(absent) > 0 {
		if noWait {
			return nil, ErrWouldBlock
		}
		if err := s.fetch(ctx, g, c, absent, p, int64(lo)); err != nil {
			return nil, err
		}
	}
	return p[start-lo:][:e.Len], nil
}

// readPresent fills p, which begins at lo, from the pages that are here and
// returns the others.
func (s *Cache) readPresent(c *segmentCopy, t *format.Footer, p []byte, lo int64) (absent []int) {
	for page := int(lo >> c.shift); int64(page)<<c.shift < lo+int64(len(p)); page++ {
		part, at := c.part(page, p, lo)
		if f := c.arrivedFetch(page); f != nil {
			copy(part, f.data[at-f.off:])
			s.stats.pageHits.Add(1)
			continue
		}
		if !s.copies.has(c, page) {
			s.stats.pageMisses.Add(1)
			absent = append(absent, page)
			continue
		}
		err := s.copies.read(c, part, at)
		if err == nil {
			err = t.Verify(part, uint64(at))
		}
		if disk.Scarce(err) { // the copy is as good as before
			s.stats.pageMisses.Add(1)
			absent = append(absent, page)
			continue
		}
		if err != nil {
			s.stats.pagesDamaged.Add(1)
			s.copies.drop(c, page)
			absent = append(absent, page)
			continue
		}
		s.stats.pageHits.Add(1)
	}
	return absent
}

// arrivedFetch is the fetch whose memory still holds a page, or nil.
func (c *segmentCopy) arrivedFetch(page int) *fetch {
	c.mu.Lock()
	f := c.fetches[page]
	c.mu.Unlock()
	if f == nil || !f.arrived() {
		return nil
	}
	return f
}

// part is the part of p, the bytes from lo on, that lies in a page, and where
// it begins in the segment.
func (c *segmentCopy) part(page int, p []byte, lo int64) ([]byte, int64) {
	start, end := c.bounds(page)
	start, end = max(start, lo), min(end, lo+int64(len(p)))
	return p[start-lo : end-lo], start
}

// fetch fills the absent pages' parts of p, the bytes from lo on.
func (s *Cache) fetch(ctx context.Context, g Segment, c *segmentCopy, absent []int, p []byte, lo int64) error {
	for _, f := range s.join(g, c, absent) {
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if f.err != nil {
			return f.err
		}
		for page := f.first; page <= f.last; page++ {
			if slices.Contains(absent, page) {
				part, at := c.part(page, p, lo)
				copy(part, f.data[at-f.off:])
			}
		}
	}
	return nil
}

// join returns fetches for the pages, which ascend: those under way, and new
// ones for the rest.
func (s *Cache) join(g Segment, c *segmentCopy, pages []int) (fetches []*fetch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fetches == nil {
		c.fetches = map[int]*fetch{}
	}
	var fresh []*fetch
	for _, page := range c.widen(pages, max(maxRun>>c.shift, 1)) {
		f := c.fetches[page]
		if f == nil {
			if n := len(fresh); n > 0 && fresh[n-1].last == page-1 && c.length(fresh[n-1].first, page) <= maxRun {
				f = fresh[n-1]
			} else {
				f = &fetch{first: page, done: make(chan struct{}), gone: make(chan struct{}), c: c}
				fresh = append(fresh, f)
			}
			f.last = page
			c.fetches[page] = f
		}
		if !slices.Contains(fetches, f) {
			fetches = append(fetches, f)
		}
	}
	for _, f := range fresh {
		s.fetcher.underWay.Add(1)
		if !s.opts.Run(func(ctx context.Context) { s.run(ctx, f, g, c) }) {
			f.err = ErrClosed
			s.fetcher.underWay.Add(-1)
			close(f.done)
			c.detach(f)
		}
	}
	return fetches
}

// widen adds to the pages those that a sequential reader will want with them,
// so that they are fetched together: the rest of a run that is not here.
func (c *segmentCopy) widen(pages []int, run int) []int {
	wide := pages
	for _, page := range pages {
		if !c.wanted.has(page) || c.fetches[page] != nil {
			continue
		}
		for next := page + 1; next < (page/run+1)*run && c.wanted.has(next); next++ {
			if c.used[next].Load() == 0 && c.fetches[next] == nil && !slices.Contains(wide, next) {
				wide = append(wide[:len(wide):len(wide)], next)
			}
		}
	}
	slices.Sort(wide)
	return wide
}

// length is the number of bytes of some pages.
func (c *segmentCopy) length(first, last int) int64 {
	start, _ := c.bounds(first)
	_, end := c.bounds(last)
	return end - start
}

// detach takes a fetch out of those that can be joined; the lock is held.
func (c *segmentCopy) detach(f *fetch) {
	for page := f.first; page <= f.last; page++ {
		if c.fetches[page] == f {
			delete(c.fetches, page)
		}
	}
}

// run fetches the pages of a fetch, verifies them and keeps them. It does not
// end with the caller who began it: others may have joined.
func (s *Cache) run(ctx context.Context, f *fetch, g Segment, c *segmentCopy) {
	n := c.length(f.first, f.last)
	if f.err = s.fetcher.take(ctx, n); f.err == nil {
		f.off, _ = c.bounds(f.first)
		f.data, f.err = s.fetchWithFooter(ctx, g, c, f.off, n)
		if f.err != nil {
			s.fetcher.memory.Release(n)
		}
	}
	// Readers need not wait until the pages are in the cache, but find the
	// fetch as long as they are not.
	s.fetcher.underWay.Add(-1)
	close(f.done)
	if f.err != nil {
		c.mu.Lock()
		c.detach(f)
		c.mu.Unlock()
		return
	}
	s.fetcher.keep(f)
	s.keepPages(ctx, f)
}

// fetchWithFooter is fetchVerified, and the footer is fetched at the same time if it
// is not known.
func (s *Cache) fetchWithFooter(ctx context.Context, g Segment, c *segmentCopy, off, n int64) ([]byte, error) {
	if s.fetcher.places.Acquire(ctx, 1) != nil {
		return nil, ErrClosed
	}
	defer s.fetcher.places.Release(1)
	return s.fetchVerified(ctx, g, s.joinFooter(g, c), off, n)
}

// fetchVerified fetches bytes of a stored segment, whose footer may arrive
// meanwhile. Bytes that fail their checksum are fetched once more: the way may
// have damaged them.
func (s *Cache) fetchVerified(ctx context.Context, g Segment, footer *footerFetch, off, n int64) (p []byte, err error) {
	p = make([]byte, n)
	for range 2 {
		if err = s.fetchBytes(ctx, g, p, off); err != nil {
			return nil, err
		}
		var t *format.Footer
		if t, err = footer.wait(ctx); err != nil {
			return nil, err
		}
		known := min(n, int64(t.DataLen)-off) // the footer has no checksum of itself
		if known <= 0 {
			return p, nil
		}
		if err = t.Verify(p[:known], uint64(off)); err == nil {
			return p, nil
		}
		s.stats.storeErrors.Add(1)
	}
	return nil, err
}

// fetchBytes reads from the content store.
func (s *Cache) fetchBytes(ctx context.Context, g Segment, p []byte, off int64) error {
	s.stats.storeReads.Add(1)
	_, err := s.opts.Content.ReadAt(ctx, g.ID.Object(), p, off)
	if err == nil {
		s.stats.fetchedBytes.Add(uint64(len(p)))
		return nil
	}
	if !errors.Is(err, content.ErrNotFound) && ctx.Err() == nil {
		s.stats.storeErrors.Add(1)
	}
	return format.ReadError(objectError(err), g.ID)
}

// footerFetch is the fetch under way of a segment's footer.
type footerFetch struct {
	done chan struct{}
	t    *format.Footer
	err  error
}

// knownFooter is for a footer that is here.
func knownFooter(t *format.Footer) *footerFetch {
	f := &footerFetch{done: make(chan struct{}), t: t}
	close(f.done)
	return f
}

// wait returns the footer when it is here.
func (f *footerFetch) wait(ctx context.Context) (*format.Footer, error) {
	select {
	case <-f.done:
		return f.t, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetchFooter returns the footer of a segment.
func (s *Cache) fetchFooter(ctx context.Context, g Segment, c *segmentCopy) (*format.Footer, error) {
	return s.joinFooter(g, c).wait(ctx)
}

// joinFooter returns the fetch of a segment's footer, which is one for all
// who need it at the same time. It is over if the footer is known.
func (s *Cache) joinFooter(g Segment, c *segmentCopy) *footerFetch {
	f := &s.fetcher
	f.mu.Lock()
	defer f.mu.Unlock()
	fetch := f.footers[g.ID]
	if fetch != nil {
		return fetch
	}
	if t := s.footers.get(g.ID); t != nil {
		return knownFooter(t)
	}
	fetch = &footerFetch{done: make(chan struct{})}
	f.footers[g.ID] = fetch
	if !s.opts.Run(func(ctx context.Context) { s.runFooter(ctx, fetch, g, c) }) {
		fetch.err = ErrClosed
		delete(f.footers, g.ID)
		close(fetch.done)
	}
	return fetch
}

// runFooter reads the footer of a segment from its copy, if its end is
// there, or else from the store.
func (s *Cache) runFooter(ctx context.Context, fetch *footerFetch, g Segment, c *segmentCopy) {
	local := func(p []byte, off int64) (int, error) {
		for page := int(off >> c.shift); int64(page)<<c.shift < off+int64(len(p)); page++ {
			if !s.copies.has(c, page) {
				return 0, content.ErrNotFound
			}
		}
		return len(p), s.copies.read(c, p, off)
	}
	fetch.t, fetch.err = format.ReadFooter(local, g.ID, g.Entry, s.opts.Instance)
	if fetch.err != nil {
		fetch.t, fetch.err = format.ReadFooter(func(p []byte, off int64) (int, error) {
			return len(p), s.fetchBytes(ctx, g, p, off)
		}, g.ID, g.Entry, s.opts.Instance)
	}
	s.fetcher.mu.Lock()
	if fetch.err == nil {
		s.footers.put(fetch.t)
	}
	delete(s.fetcher.footers, g.ID)
	s.fetcher.mu.Unlock()
	close(fetch.done)
}
