package pagecache

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// maxVictims is how many pages are chosen to be evicted next at once.
const maxVictims = 4096

// copies keeps copies of pages of stored segments in files of the journal's
// directory: one sparse file for each segment, at the place where the segment
// itself was before it was handed off. A copy can be damaged or half written
// without harm, since what is read is verified and fetched again.
//
// It knows what it holds and which of it was used last; how much it may hold
// is up to Room.
type copies struct {
	cache *Cache
	clock atomic.Uint64

	mu        sync.Mutex
	bySegment map[format.SegmentID]*segmentCopy
	victims   []victim // ascending by used

	files handleCache
}

// segmentCopy is what is here of a stored segment.
type segmentCopy struct {
	id    format.SegmentID
	size  int64
	shift uint8
	path  string

	// used is when each page was used last by the cache's clock; 0 means that
	// it is not here.
	used []atomic.Uint64

	mu      sync.Mutex // of pages that come and go
	pages   int        // that are here
	writing int        // that are being written
	dead    bool       // the segment is deleted
	fetches map[int]*fetch
	wanted  pageRange // by a sequential reader
}

// pageRange is [lo, hi).
type pageRange struct{ lo, hi int }

func (r pageRange) has(page int) bool { return r.lo <= page && page < r.hi }

type victim struct {
	c    *segmentCopy
	page int
	used uint64
}

func (p *copies) init(s *Cache) {
	p.cache = s
	p.bySegment = map[format.SegmentID]*segmentCopy{}
	p.files.init(s.opts.Disk, s.opts.OpenFiles)
}

// of returns the copy of a segment, which may have no page yet.
func (p *copies) of(g Segment) *segmentCopy {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.bySegment[g.ID]
	if c == nil {
		size := p.cache.opts.PageSize
		c = &segmentCopy{
			id: g.ID, size: g.Entry.Size, path: p.cache.opts.Path(g.ID),
			used: make([]atomic.Uint64, (g.Entry.Size+size-1)/size),
		}
		for 1<<c.shift < size {
			c.shift++
		}
		p.bySegment[g.ID] = c
	}
	return c
}

// adopt takes the whole local file of a segment over.
func (p *copies) adopt(g Segment) {
	c := p.of(g)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := p.clock.Add(1)
	for i := range c.used {
		c.used[i].Store(now)
	}
	c.pages = len(c.used)
}

// adoptFile takes over what a file has of its segment after a start, and
// returns the room that it needs. Pages that are here in part only are freed.
func (p *copies) adoptFile(g Segment, f disk.File) (int64, error) {
	c := p.of(g)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := p.clock.Add(1)
	whole, err := dataRanges(f, c.size)
	if err != nil {
		return 0, err
	}
	var room int64
	for i := range c.used {
		start, end := c.bounds(i)
		if containsRange(whole, start, end) {
			c.used[i].Store(now)
			c.pages++
			room += c.cost(i)
		} else if err := f.PunchHole(start, end-start); err != nil {
			return 0, err
		}
	}
	return room, f.Truncate(c.size)
}

// dataRanges are the ranges of the first size bytes that are on the disk.
func dataRanges(f disk.File, size int64) (ranges [][2]int64, err error) {
	for off := int64(0); off < size; {
		start, end, err := f.NextData(off)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, [2]int64{start, end})
		off = end
	}
	return ranges, nil
}

func containsRange(ranges [][2]int64, start, end int64) bool {
	return slices.ContainsFunc(ranges, func(r [2]int64) bool { return r[0] <= start && end <= r[1] })
}

// bounds are the first byte of a page and the one after its last.
func (c *segmentCopy) bounds(page int) (start, end int64) {
	start = int64(page) << c.shift
	return start, min(start+1<<c.shift, c.size)
}

// cost is what a page takes on the disk.
func (c *segmentCopy) cost(page int) int64 {
	start, end := c.bounds(page)
	return disk.OnDisk(end - start)
}

// bytes is what all pages take that are here.
func (p *copies) bytes() (n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.bySegment {
		for page := range c.used {
			if c.used[page].Load() != 0 {
				n += c.cost(page)
			}
		}
	}
	return n
}

// has says whether a page is here, and that it is used now.
func (p *copies) has(c *segmentCopy, page int) bool {
	if c.used[page].Load() == 0 {
		return false
	}
	c.used[page].Store(p.clock.Add(1))
	return true
}

// read reads a part of a page that is here.
func (p *copies) read(c *segmentCopy, b []byte, off int64) error {
	f, err := p.files.acquire(c.id, c.path, false)
	if err != nil {
		return err
	}
	defer f.Unref()
	_, err = f.ReadAt(b, off)
	return err
}

// put stores a page if there is room for it; nobody else puts the same page
// meanwhile. A page that cannot be stored is fetched again when it is needed.
func (p *copies) put(c *segmentCopy, page int, b []byte) {
	cost := c.cost(page)
	if c.used[page].Load() != 0 || !p.cache.opts.Room.TakePages(cost) {
		return
	}
	c.mu.Lock()
	c.writing++ // the file stays
	c.mu.Unlock()
	err := p.write(c, page, b)
	c.mu.Lock()
	c.writing--
	dead := c.dead
	if err == nil && !dead {
		c.pages++
		c.used[page].Store(p.clock.Add(1))
	} else if dead && c.writing == 0 {
		p.removeFile(c)
	}
	c.mu.Unlock()
	if err != nil || dead {
		p.cache.opts.Room.GivePages(cost)
	}
	if err != nil {
		p.cache.opts.Logger.Warn("a page could not be kept in the cache", "segment", c.id.String(), "error", err)
	}
}

func (p *copies) write(c *segmentCopy, page int, b []byte) error {
	f, err := p.files.acquire(c.id, c.path, true)
	if err != nil {
		return err
	}
	defer f.Unref()
	start, _ := c.bounds(page)
	if _, err := f.WriteAt(b, start); err != nil {
		return errors.Join(err, f.PunchHole(start, int64(len(b))))
	}
	return nil
}

// drop removes a page that turned out to be damaged.
func (p *copies) drop(c *segmentCopy, page int) {
	p.cache.opts.Room.GivePages(p.remove(c, page, c.used[page].Load()))
}

// evict removes pages of at least n bytes, those used last at the end, and
// returns how many bytes they had.
func (p *copies) evict(n int64) (gone int64) {
	for gone < n {
		v, ok := p.nextVictim()
		if !ok {
			break
		}
		if bytes := p.remove(v.c, v.page, v.used); bytes > 0 {
			p.cache.stats.pagesEvicted.Add(1)
			gone += bytes
		}
	}
	return gone
}

// remove removes a page that was not used since, and returns its room. A
// filesystem that cannot make holes loses the whole copy.
func (p *copies) remove(c *segmentCopy, page int, used uint64) (gone int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if used == 0 || !c.used[page].CompareAndSwap(used, 0) {
		return 0
	}
	c.pages--
	gone = c.cost(page)
	if c.pages+c.writing > 0 && p.punch(c, page) == nil {
		return gone
	}
	for i := range c.used {
		if c.used[i].Swap(0) != 0 {
			c.pages--
			gone += c.cost(i)
		}
	}
	p.removeFile(c)
	return gone
}

// removeFile removes the file of a copy that has no page any more. It is emptied
// before: a reader may have it open, and its room is given to others now.
func (p *copies) removeFile(c *segmentCopy) {
	if f, err := p.files.acquire(c.id, c.path, false); err == nil {
		if err := f.Truncate(0); err != nil {
			p.cache.opts.Logger.Warn("a copy of a segment could not be emptied", "segment", c.id.String(), "error", err)
		}
		f.Unref()
	}
	p.files.forget(c.id)
	if err := p.cache.opts.Disk.Remove(c.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.cache.opts.Logger.Warn("a copy of a segment could not be removed", "segment", c.id.String(), "error", err)
	}
}

func (p *copies) punch(c *segmentCopy, page int) error {
	f, err := p.files.acquire(c.id, c.path, false)
	if err != nil {
		return err
	}
	defer f.Unref()
	start, end := c.bounds(page)
	return f.PunchHole(start, end-start)
}

// forget removes the copy of a segment that is deleted, and returns its room.
func (p *copies) forget(id format.SegmentID) (gone int64) {
	p.mu.Lock()
	c := p.bySegment[id]
	delete(p.bySegment, id)
	p.mu.Unlock()
	if c == nil {
		return 0
	}
	c.mu.Lock()
	c.dead = true
	c.mu.Unlock()
	for page := range c.used {
		gone += p.remove(c, page, c.used[page].Load())
	}
	return gone
}

// nextVictim is the page that was not used for longest. They are chosen in
// batches, so that a choice costs little and no list has to be kept in order
// when pages are used.
func (p *copies) nextVictim() (victim, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.victims) == 0 {
		p.victims = p.chooseVictims()
	}
	if len(p.victims) == 0 {
		return victim{}, false
	}
	v := p.victims[0]
	p.victims = p.victims[1:]
	return v, true
}

// chooseVictims returns an eighth of the pages, the ones not used for longest.
func (p *copies) chooseVictims() []victim {
	var all []victim
	for _, c := range p.bySegment {
		for page := range c.used {
			if used := c.used[page].Load(); used != 0 {
				all = append(all, victim{c, page, used})
			}
		}
	}
	slices.SortFunc(all, func(a, b victim) int {
		return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.c.id, b.c.id), cmp.Compare(a.page, b.page))
	})
	return slices.Clone(all[:min(max(len(all)/8, 1), maxVictims, len(all))])
}

// handleCache keeps the files of copies that were used last open.
type handleCache struct {
	disk  disk.FS
	mu    sync.Mutex
	max   int
	open  map[format.SegmentID]*disk.Shared
	order []format.SegmentID // the oldest first
}

func (h *handleCache) init(d disk.FS, maximum int) {
	h.disk, h.max, h.open = d, maximum, map[format.SegmentID]*disk.Shared{}
}

// acquire returns an open file with a reference, which the caller gives back.
func (h *handleCache) acquire(id format.SegmentID, path string, create bool) (*disk.Shared, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.open[id]; f != nil && f.Ref() {
		return f, nil
	}
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := disk.OpenShared(h.disk, path, flags)
	if disk.Scarce(err) && len(h.order) > 0 {
		h.closeLocked(h.order[0])
		f, err = disk.OpenShared(h.disk, path, flags)
	}
	if err != nil {
		return nil, err
	}
	for len(h.open) >= h.max {
		h.closeLocked(h.order[0])
	}
	h.open[id] = f
	h.order = append(h.order, id)
	f.Ref()
	return f, nil
}

func (h *handleCache) forget(id format.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closeLocked(id)
}

func (h *handleCache) closeLocked(id format.SegmentID) {
	f := h.open[id]
	if f == nil {
		return
	}
	delete(h.open, id)
	h.order = slices.DeleteFunc(h.order, func(o format.SegmentID) bool { return o == id })
	f.Unref()
}

func (h *handleCache) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.open {
		f.Unref()
	}
	h.open, h.order = map[format.SegmentID]*disk.Shared{}, nil
}
