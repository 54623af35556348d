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
)

// readAhead notices that a file is read in order.
type readAhead struct {
	next uint64 // the end of what was read
	run  uint64 // bytes read in order
	done uint64 // up to where pages were asked for
}

// Ahead notes a read of n bytes at off and returns the extents that the reader
// will probably want next, for Prefetch; mostly none. size is the file's.
func (f *File) Ahead(ctx context.Context, off, n, size uint64) []Extent {
	limit := uint64(max(f.s.opts.ReadAhead, 0))
	if limit == 0 || !f.s.opts.CachePages {
		return nil
	}
	f.mu.Lock()
	from, to := f.ahead.note(off, n, size, limit)
	f.mu.Unlock()
	if from >= to {
		return nil
	}
	exts, err := f.Map(ctx, from, to-from)
	if err != nil {
		return nil // the reader will be told when it comes there
	}
	return exts
}

// note returns the range that is to be fetched now.
func (a *readAhead) note(off, n, size, limit uint64) (from, to uint64) {
	end := off + n
	if a.run == 0 || off > a.next+aheadSlack || end+aheadSlack < a.next {
		*a = readAhead{next: end, run: n, done: end}
	} else {
		a.run += n
		a.next = max(a.next, end)
	}
	if a.run < aheadAfter && a.run != end {
		return 0, 0
	}
	window := min(limit, 4*a.run)
	from, to = max(a.done, a.next), min(a.next+window, size)
	if to < from+window/2 && to < size {
		return 0, 0 // soon
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
		s.fetcher.enqueue(job)
		job = aheadJob{g, lo, hi}
	}
	s.fetcher.enqueue(job)
}

func (f *fetcher) enqueue(job aheadJob) {
	if job.g == nil {
		return
	}
	f.waiting.Add(1)
	select {
	case f.jobs <- job:
	default:
		f.waiting.Add(-1)
	}
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
	c := s.pages.of(job.g)
	t := s.footers.get(job.g.id)
	if t == nil {
		var err error
		if t, err = s.fetchTable(s.ctx, job.g, c); err != nil {
			return // whoever reads will be told
		}
	}
	var absent []int
	for page := int(job.lo >> c.shift); int64(page)<<c.shift < min(job.hi, c.size); page++ {
		if c.used[page].Load() == 0 {
			absent = append(absent, page)
		}
	}
	for _, f := range s.board(job.g, t, c, absent) {
		<-f.done
	}
}
