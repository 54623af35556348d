package pagecache

import (
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
)

const (
	// orderSlack is how far from its predecessor a read of a sequential
	// reader may be: clients have many reads under way, in any order.
	orderSlack = 8 << 20
	// orderAfter is how much is read in order before more is fetched, unless
	// it is from the beginning of the file on.
	orderAfter = 128 << 10
	// maxPrefetches bounds the fetches ahead of all readers that are under way.
	maxPrefetches = 64
	// maxReaders bounds the readers of one file that are told apart.
	maxReaders = 4
)

// readerList are those who read a file in order, each at its own place.
type readerList []reader

// of returns the reader that a read belongs to: one that it goes on with, or a
// new one, for which the reader gives way that is at the end or has read least.
func (rs *readerList) of(off, n, size uint64) *reader {
	var least *reader
	var run uint64
	for i := range *rs {
		a := &(*rs)[i]
		if a.goesOn(off, n, size) {
			return a
		}
		r := a.run
		if a.next >= size {
			r = 0
		}
		if least == nil || r < run {
			least, run = a, r
		}
	}
	if len(*rs) < maxReaders && (least == nil || run > 0) {
		*rs = append(*rs, reader{})
		least = &(*rs)[len(*rs)-1]
	}
	return least
}

// reader is what is known of one who may read in order.
type reader struct {
	next   uint64 // the end of what was read
	run    uint64 // bytes read in order
	from   uint64 // where pages were first asked for
	done   uint64 // up to where they were
	window window
	turn   int64 // of aheadShares, in which it read last

	seen    uint64 // up to where passed was told
	seenRun uint64 // run, then
	long    bool   // it has looked
}

// Readers are those who read one file. Safe for concurrent use.
type Readers struct {
	mu   sync.Mutex
	list readerList
}

// Reading is what follows from a read.
type Reading struct {
	// From and To are the range of the file that its reader will probably want
	// next; empty if nothing is to be fetched.
	From, To uint64
	// PassedFrom and PassedTo are a range that the reader has come through in
	// order; empty, or each part of it once.
	PassedFrom, PassedTo uint64
}

// Note takes in a read of n bytes at off of a file of size bytes, which are in the
// extents exts. far is how much a reader comes through before that is told; 0 for
// never.
func (rs *Readers) Note(s *Cache, exts []format.Extent, off, n, size, far uint64) (r Reading) {
	fetches := s.opts.Far && s.opts.ReadAhead > 0
	rs.mu.Lock()
	defer rs.mu.Unlock()
	a := rs.list.of(off, n, size)
	now := time.Now()
	if fetches && a.goesOn(off, n, size) {
		a.measure(now, s.presence(exts), off+n)
		a.window.limit(min(s.opts.ReadAhead, s.fetcher.shares.of(now, &a.turn)))
	}
	r.From, r.To = a.note(now, off, n, size, s.opts.ReadAhead)
	if far > 0 {
		r.PassedFrom, r.PassedTo = a.passed(size, far)
	}
	if !fetches {
		r.From, r.To = 0, 0
	}
	return r
}

// passed is what the reader has come through since this was asked last, once it is
// far or reaches the end; nothing if it was read here and there.
func (a *reader) passed(size, far uint64) (lo, hi uint64) {
	if a.next < a.seen+far && (a.next < size || !a.long || a.next == a.seen) {
		return 0, 0
	}
	lo, hi = a.seen, a.next
	read := a.run - a.seenRun
	a.seen, a.seenRun, a.long = a.next, a.run, true
	if read < (hi-lo)/4*3 {
		return 0, 0
	}
	return lo, hi
}

// measure tells the window how what is read next was found, up to end.
func (a *reader) measure(now time.Time, found presence, end uint64) {
	if found == lost && end <= a.done {
		a.window.lost()
	}
	a.window.note(now, max(a.next, end), found != present)
}

// goesOn says whether a read goes on with those before it.
func (a *reader) goesOn(off, n, size uint64) bool {
	again := off == 0 && a.next >= size
	return a.run > 0 && !again && off <= a.next+orderSlack && off+n+orderSlack >= a.next
}

// note returns the range that is to be fetched now, most bytes ahead at most.
func (a *reader) note(now time.Time, off, n, size uint64, most int64) (from, to uint64) {
	end := off + n
	if !a.goesOn(off, n, size) {
		window := a.window
		window.begin(now, end, a.done-a.from, a.done-min(a.next, a.done))
		*a = reader{next: end, run: n, from: off, done: off, seen: off, window: window, turn: a.turn}
	} else {
		a.run += n
		a.next = max(a.next, end)
	}
	if a.run < orderAfter && a.run != end {
		return 0, 0
	}
	window := min(uint64(max(0, min(a.window.size, most))), 16*a.run)
	from, to = max(a.done, off), min(a.next+window, size)
	if to < from+min(window/2, maxRun) && to < size {
		return 0, 0 // soon: in pieces of a request, so that many stay under way
	}
	a.done = max(a.done, to)
	return from, to
}

// prefetchJob is a range of a stored segment that is to be fetched.
type prefetchJob struct {
	g      Segment
	lo, hi int64
}

// Prefetch brings the pages of extents that a reader will want soon here, in
// the background. What there is no place for is left to the reader.
func (s *Cache) Prefetch(exts []format.Extent) {
	var job prefetchJob
	for _, e := range exts {
		g, ok := s.opts.Stored(e.Seg)
		if !ok {
			continue
		}
		page := s.opts.PageSize
		lo, hi := int64(e.Pos)/page*page, (int64(e.Pos)+int64(e.Len)+page-1)/page*page
		if job.g.ID == g.ID && lo >= job.lo && lo <= job.hi {
			job.hi = max(job.hi, hi)
			continue
		}
		s.prefetch(job)
		job = prefetchJob{g, lo, hi}
	}
	s.prefetch(job)
}

// prefetch begins to fetch the pages of a range that are not here.
func (s *Cache) prefetch(job prefetchJob) {
	if job.g.ID == 0 || s.fetcher.underWay.Load() >= maxPrefetches {
		return
	}
	c := s.copies.of(job.g)
	lo, hi := int(job.lo>>c.shift), int((min(job.hi, c.size)+1<<c.shift-1)>>c.shift)
	c.want(lo, hi)
	s.join(job.g, c, c.absent(lo, hi))
}

// want notes pages that a sequential reader will want, together with those
// before them.
func (c *segmentCopy) want(lo, hi int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lo > c.wanted.hi || lo < c.wanted.lo {
		c.wanted.lo = lo
	}
	c.wanted.hi = hi
}

// absent are the pages from lo to hi that are not in the cache.
func (c *segmentCopy) absent(lo, hi int) (pages []int) {
	for page := lo; page < hi; page++ {
		if c.used[page].Load() == 0 {
			pages = append(pages, page)
		}
	}
	return pages
}

// presence says where bytes are that are to be read.
type presence int

const (
	present presence = iota // all of them can be read at once
	coming                  // some are being fetched
	lost                    // some are neither here nor being fetched
)

func (s *Cache) presence(exts []format.Extent) (found presence) {
	for _, e := range exts {
		g, ok := s.opts.Stored(e.Seg)
		if !ok || int64(e.Pos)+int64(e.Len) > g.Entry.Size {
			continue
		}
		found = max(found, s.copies.of(g).presence(int64(e.Pos), int64(e.Len)))
	}
	return found
}

func (c *segmentCopy) presence(off, n int64) (found presence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for page := int(off >> c.shift); int64(page)<<c.shift < off+n; page++ {
		switch f := c.fetches[page]; {
		case c.used[page].Load() != 0, f != nil && f.arrived():
		case f != nil:
			found = max(found, coming)
		default:
			return lost
		}
	}
	return found
}
