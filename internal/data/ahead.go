package data

import "context"

const (
	// aheadSlack is how far from its predecessor a read of a sequential
	// reader may be: clients have many reads under way, in any order.
	aheadSlack = 8 << 20
	// aheadAfter is how much is read in order before more is fetched, unless
	// it is from the beginning of the file on.
	aheadAfter = 128 << 10
	// maxAheadJobs bounds the fetches that wait.
	maxAheadJobs = 128
	// maxReaders bounds the readers of one file that are told apart.
	maxReaders = 4
)

// readers are those who read a file in order, each at its own place.
type readers []readAhead

// of returns the reader that a read belongs to: one that it goes on with, or a
// new one, for which the reader gives way that is at the end or has read least.
func (rs *readers) of(off, n, size uint64) *readAhead {
	var least *readAhead
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
		*rs = append(*rs, readAhead{})
		least = &(*rs)[len(*rs)-1]
	}
	return least
}

// readAhead is what is known of one who may read in order.
type readAhead struct {
	next uint64 // the end of what was read
	run  uint64 // bytes read in order
	done uint64 // up to where pages were asked for

	seen    uint64 // up to where noteScattered has looked
	seenRun uint64 // run, then
	long    bool   // it has looked
}

// Ahead notes a read of n bytes at off, which may make the file one that is laid
// out again, and returns the extents that the reader
// will probably want next, for Prefetch; mostly none. size is the file's.
func (f *File) Ahead(ctx context.Context, off, n, size uint64) []Extent {
	limit := uint64(max(f.s.opts.ReadAhead, 0))
	if !f.s.opts.CachePages {
		limit = 0
	}
	f.mu.Lock()
	a := f.readers.of(off, n, size)
	from, to := a.note(off, n, size, limit)
	f.noteScattered(a, size)
	f.mu.Unlock()
	if limit == 0 || from >= to {
		return nil
	}
	exts, err := f.Map(ctx, from, to-from)
	if err != nil {
		return nil // the reader will be told when it comes there
	}
	return exts
}

// goesOn says whether a read goes on with those before it.
func (a *readAhead) goesOn(off, n, size uint64) bool {
	again := off == 0 && a.next >= size
	return a.run > 0 && !again && off <= a.next+aheadSlack && off+n+aheadSlack >= a.next
}

// note returns the range that is to be fetched now.
func (a *readAhead) note(off, n, size, limit uint64) (from, to uint64) {
	end := off + n
	if !a.goesOn(off, n, size) {
		*a = readAhead{next: end, run: n, done: off, seen: off}
	} else {
		a.run += n
		a.next = max(a.next, end)
	}
	if a.run < aheadAfter && a.run != end {
		return 0, 0
	}
	window := min(limit, 16*a.run)
	from, to = max(a.done, off), min(a.next+window, size)
	if to < from+min(window/2, maxRun) && to < size {
		return 0, 0 // soon: in pieces of a request, so that many stay under way
	}
	a.done = max(a.done, to)
	return from, to
}

// aheadJob is a range of a stored segment that is to be fetched.
type aheadJob struct {
	g      *segment
	lo, hi int64
}

// Prefetch brings the pages of extents that a reader will want soon here, in
// the background. What there is no place for is left to the reader.
func (s *Store) Prefetch(exts []Extent) {
	var job aheadJob
	for _, e := range exts {
		g := s.segment(e.Seg)
		if g == nil || g.getState() != stateStored {
			continue
		}
		page := s.opts.PageSize
		lo, hi := int64(e.Pos)/page*page, (int64(e.Pos)+int64(e.Len)+page-1)/page*page
		if job.g == g && lo >= job.lo && hi-job.lo <= maxRun {
			job.hi = max(job.hi, hi)
			continue
		}
		s.ahead(job)
		job = aheadJob{g, lo, hi}
	}
	s.ahead(job)
}

// ahead begins to fetch a range at once if the segment's table is known, so
// that whoever reads it now finds the fetch under way; else a worker does.
func (s *Store) ahead(job aheadJob) {
	if job.g == nil || s.fetcher.flying.Load() >= maxAheadJobs {
		return
	}
	c := s.pages.of(job.g)
	c.want(int(job.lo>>c.shift), int((min(job.hi, c.size)+1<<c.shift-1)>>c.shift))
	if t := s.footers.get(job.g.id); t != nil {
		s.boardAhead(job, t)
		return
	}
	s.fetcher.waiting.Add(1)
	select {
	case s.fetcher.jobs <- job:
	default:
		s.fetcher.waiting.Add(-1)
	}
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

// runAhead fetches what Prefetch was asked for.
func (s *Store) runAhead() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case job := <-s.fetcher.jobs:
			s.fetchAhead(job)
			s.fetcher.waiting.Add(-1)
		}
	}
}

func (s *Store) fetchAhead(job aheadJob) {
	t, err := s.fetchTable(s.ctx, job.g, s.pages.of(job.g))
	if err != nil {
		return // whoever reads will be told
	}
	s.boardAhead(job, t)
}

func (s *Store) boardAhead(job aheadJob, t *pageTable) {
	c := s.pages.of(job.g)
	var absent []int
	for page := int(job.lo >> c.shift); int64(page)<<c.shift < min(job.hi, c.size); page++ {
		if c.used[page].Load() == 0 {
			absent = append(absent, page)
		}
	}
	s.board(job.g, t, c, absent)
}
