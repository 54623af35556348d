package pagecache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// Errors of this package, matched with errors.Is.
var (
	// ErrWouldBlock tells that data is not on this machine and that the caller does
	// not want to wait.
	ErrWouldBlock = errors.New("data is not on this machine")
	// ErrClosed tells that nothing is fetched any more.
	ErrClosed = errors.New("the page cache is closed")
)

// Segment is a segment in the content store.
type Segment struct {
	ID    format.SegmentID
	Entry format.SegmentEntry
}

// Room is what the cache may take of the disk. Pages give way: who needs the room
// calls Evict.
type Room interface {
	// TakePages reserves n bytes, and may evict others for them; false if there is
	// no room that nobody else wants.
	TakePages(n int64) bool
	// GivePages gives bytes back that were taken.
	GivePages(n int64)
}

// Options are what a cache needs. All but the sizes are required.
type Options struct {
	Content  content.Store
	Instance string
	Disk     disk.FS
	// Path is that of a segment's file in the journal, where its copy is kept.
	Path func(format.SegmentID) string
	Room Room
	// Stored returns a segment that is in the content store; false for others.
	Stored func(format.SegmentID) (Segment, bool)
	// Run runs f in the background with a context that ends when the store is
	// closed; false if it was.
	Run    func(f func(context.Context)) bool
	Logger *slog.Logger
	// Far says that the content store is far away: pages are kept here, and
	// fetched ahead of sequential readers.
	Far bool
	// PageSize is the unit in which pages are fetched and evicted: a power of two.
	PageSize int64
	// ReadAhead is how much is fetched ahead of a reader at most, in bytes.
	ReadAhead int64
	// FooterMemory bounds the memory of footers, in bytes.
	FooterMemory int64
	// OpenFiles bounds the copies that are kept open.
	OpenFiles int
	// FetchMemory bounds the bytes that are fetched and kept in memory, unless two
	// readers ahead of whom as much is fetched as ReadAhead allows need more; default
	// 64 MiB.
	FetchMemory int64
	// KeepFetched is how long what was fetched stays in memory for readers that come
	// after it, if its memory is not needed before; default 3 s.
	KeepFetched time.Duration
}

// Cache reads segments that are in the content store, and keeps what it read. Safe
// for concurrent use.
type Cache struct {
	opts    Options
	copies  copies
	footers footerCache
	fetcher fetcher
	stats   counters
}

// New returns an empty cache; Adopt and AdoptFile fill it with what is on the disk.
func New(o Options) *Cache {
	s := &Cache{opts: o}
	s.footers.limit = o.FooterMemory
	s.copies.init(s)
	s.fetcher.init(s)
	return s
}

// counters are what happened since the start.
type counters struct {
	storeReads, storeErrors, fetchedBytes atomic.Uint64
	pageHits, pageMisses                  atomic.Uint64
	pagesEvicted, pagesDamaged            atomic.Uint64
}

// Stats are figures for metrics. Those named after things done count since
// the start; the others are of now.
type Stats struct {
	StoreReads, StoreErrors, FetchedBytes uint64
	PageHits, PageMisses                  uint64 // pages that were, or were not, here when they were read
	PagesEvicted, PagesDamaged            uint64
	FooterMisses                          uint64
	FooterBytes                           int64 // of memory
	PageBytes                             int64 // that pages which are here take
	Fetching, Fetched                     int   // fetches under way, and those whose bytes are still in memory
}

// Stats returns the current figures.
func (s *Cache) Stats() Stats {
	return Stats{
		StoreReads: s.stats.storeReads.Load(), StoreErrors: s.stats.storeErrors.Load(),
		FetchedBytes: s.stats.fetchedBytes.Load(),
		PageHits:     s.stats.pageHits.Load(), PageMisses: s.stats.pageMisses.Load(),
		PagesEvicted: s.stats.pagesEvicted.Load(), PagesDamaged: s.stats.pagesDamaged.Load(),
		FooterMisses: s.footers.missed.Load(), FooterBytes: s.footers.size(),
		PageBytes: s.copies.bytes(), Fetching: int(s.fetcher.underWay.Load()), Fetched: s.fetcher.keeps(),
	}
}

// Read reads an extent of a segment into mem, which has room for the rest of its
// first and last block, and returns the part of mem that holds it, verified.
func (s *Cache) Read(ctx context.Context, g Segment, e format.Extent, mem []byte, noWait bool) ([]byte, error) {
	if s.opts.Far {
		return s.readCopy(ctx, g, e, mem, noWait)
	}
	if _, local := content.As[content.Local](s.opts.Content); noWait && !local {
		return nil, ErrWouldBlock
	}
	return s.readNear(ctx, g, e, mem)
}

// readNear reads from a content store that is as near as a cache would be.
func (s *Cache) readNear(ctx context.Context, g Segment, e format.Extent, mem []byte) ([]byte, error) {
	object := g.ID.Object()
	read := func(p []byte, off int64) (int, error) {
		n, err := s.opts.Content.ReadAt(ctx, object, p, off)
		if err != nil && !errors.Is(err, content.ErrNotFound) && ctx.Err() == nil {
			s.stats.storeErrors.Add(1)
		}
		return n, objectError(err)
	}
	t := s.footers.get(g.ID)
	if t == nil {
		var err error
		if t, err = format.ReadFooter(read, g.ID, g.Entry, s.opts.Instance); err != nil {
			return nil, err
		}
		s.footers.put(t)
	}
	s.stats.storeReads.Add(1)
	return format.ReadExtent(read, t, e, mem)
}

// objectError makes an object that is not there ErrCorrupt: the index leads to it.
func objectError(err error) error {
	if errors.Is(err, content.ErrNotFound) {
		return fmt.Errorf("%w: %w", err, format.ErrCorrupt)
	}
	return err
}

// Evict removes pages of at least n bytes, those used last at the end, and
// returns how many bytes they had.
func (s *Cache) Evict(n int64) (gone int64) { return s.copies.evict(n) }

// Adopt takes the whole file of a segment over as its copy.
func (s *Cache) Adopt(g Segment) { s.copies.adopt(g) }

// AdoptFile takes over what a file has of its segment after a start, and returns
// the room that it needs.
func (s *Cache) AdoptFile(g Segment, f disk.File) (int64, error) {
	return s.copies.adoptFile(g, f)
}

// Forget drops what is kept of a segment that is deleted, and returns its room.
func (s *Cache) Forget(id format.SegmentID) int64 { return s.copies.forget(id) }

// KeepFooter keeps the footer of a segment that was handed off.
func (s *Cache) KeepFooter(t *format.Footer) { s.footers.put(t) }

// ForgetFooter drops the footer of a segment that is deleted.
func (s *Cache) ForgetFooter(id format.SegmentID) { s.footers.remove(id) }

// Close closes all files.
func (s *Cache) Close() { s.copies.files.closeAll() }
