package data

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"golang.org/x/time/rate"
)

// Options of a Store. Dir, Content, Log and Instance are required.
type Options struct {
	// Dir holds the journal; cache.path of the configuration.
	Dir string
	// CacheSize bounds what the files in Dir take: segments that are not in
	// the content store, and pages of those that are; default 10 GiB.
	CacheSize int64
	// SegmentSize is the size at which segments are sealed; default 64 MiB,
	// at most an eighth of CacheSize.
	SegmentSize int64
	// Content takes sealed segments.
	Content content.Store
	// Log holds the index. The caller closes it after the Store.
	Log *commit.Log
	// Instance names the owner of Dir and Content: 32 hexadecimal digits,
	// kept in the metadata.
	Instance string
	// Volatile says that the metadata does not outlive the process: what an
	// earlier process left in Dir is removed.
	Volatile bool
	// Forgetful says that the content store is empty at every start.
	Forgetful bool
	// Logger defaults to slog.Default.
	Logger *slog.Logger
	// Flush commits dirty data of an inode; see SetFlush.
	Flush func(ctx context.Context, ino uint64) error
	// OnFailure is called once, when a sync or the Log has failed and the
	// process must stop.
	OnFailure func(error)
	// Remote says that data is durable when the content store has it.
	Remote bool
	// MaxWait is how long a writer waits for room before it is told to try
	// again; default 10 s.
	MaxWait time.Duration
	// FullTimeout is how long nothing may leave a full journal before writers
	// get ErrNoSpace, and how long Sync waits with Remote; default 5 minutes.
	FullTimeout time.Duration
	// SealAfter is how long a segment is kept open without a write, or with
	// CachePages since its first; default 10 s.
	SealAfter time.Duration
	// CheckpointEvery is how long data stays dirty at most before it is
	// flushed; default 5 s.
	CheckpointEvery time.Duration
	// DeleteAfter is how long a dead segment is kept for readers that mapped
	// it before; default 5 s.
	DeleteAfter time.Duration
	// RetryEvery is the longest pause between attempts to reach the content
	// store; default 30 s.
	RetryEvery time.Duration
	// Transfers bounds the segments on their way to the content store at the
	// same time; default 4.
	Transfers int
	// Garbage is the fraction of all stored bytes that may be dead before
	// segments are rewritten; default 0.3, from 1 on none are.
	Garbage float64
	// CompactRate bounds the bytes that a compaction reads and writes in a
	// second; default 64 MiB.
	CompactRate int64
	// LayOutRun is how much of a file a reader reads in order before it counts
	// as read sequentially; default 16 MiB. If what it finds there is in pieces
	// of less than LayOutPiece on average, default 256 KiB, it is copied in
	// order after LayOutAfter, default 30 s, unless the file is written
	// before. With Garbage from 1 on nothing is.
	LayOutRun, LayOutPiece int64
	LayOutAfter            time.Duration
	// CachePages says that the content store is far away: pages that were
	// read, and segments that were handed off, stay in Dir as far as there is
	// room.
	CachePages bool
	// PageSize is the unit in which pages are fetched and evicted: a power of
	// two from 64 KiB on; default 1 MiB.
	PageSize int64
	// ReadAhead is how much is fetched ahead of a sequential reader at most, in
	// bytes; 0 for nothing.
	ReadAhead int64
	// ExtentMemory bounds the memory of clean extents; default 64 MiB.
	ExtentMemory int64
	// FooterMemory bounds the memory of footers; default 16 MiB.
	FooterMemory int64
	// MaxFiles bounds the files of Dir that are kept open: a quarter of it, at
	// most 256, for copies of stored segments, the rest for segments that are
	// not stored yet. A journal with so many is full. Default 1024, at least 32.
	MaxFiles int
	// Pinned says that a segment must stay in the content store though no file
	// uses it, because a backup refers to it; nil for none. It does not block.
	Pinned func(format.SegmentID) bool
	// MayWrite and MayRewrite say whether a new segment of so many bytes may be
	// made, for clients and for a compaction; an error says what it would take
	// the last of. They do not block; default: always.
	MayWrite, MayRewrite func(bytes int64) error
	// Disk holds Dir; default disk.OS.
	Disk disk.FS

	extentsAtOnce, batchBytes int // see extents.Options
	fetchMemory               int64
	keepFetched               time.Duration
}

func (o *Options) complete() error {
	always := func(int64) error { return nil }
	if o.MayWrite == nil {
		o.MayWrite = always
	}
	if o.MayRewrite == nil {
		o.MayRewrite = always
	}
	setDefault(&o.CacheSize, 10<<30)
	setDefault(&o.SegmentSize, 64<<20)
	setDefault(&o.MaxWait, 10*time.Second)
	setDefault(&o.FullTimeout, 5*time.Minute)
	setDefault(&o.SealAfter, 10*time.Second)
	setDefault(&o.CheckpointEvery, 5*time.Second)
	setDefault(&o.DeleteAfter, 5*time.Second)
	setDefault(&o.RetryEvery, 30*time.Second)
	setDefault(&o.Transfers, 4)
	setDefault(&o.Garbage, 0.3)
	setDefault(&o.CompactRate, 64<<20)
	setDefault(&o.LayOutRun, 16<<20)
	setDefault(&o.LayOutPiece, 256<<10)
	setDefault(&o.LayOutAfter, 30*time.Second)
	setDefault(&o.PageSize, 1<<20)
	setDefault(&o.ExtentMemory, 64<<20)
	setDefault(&o.FooterMemory, 16<<20)
	setDefault(&o.MaxFiles, 1024)
	o.MaxFiles = max(o.MaxFiles, LeastFiles)
	o.SegmentSize = min(o.SegmentSize, o.CacheSize/8, 1<<30)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Disk == nil {
		o.Disk = disk.OS{}
	}
	switch {
	case o.Dir == "" || o.Content == nil || o.Log == nil:
		return errors.New("data store: Dir, Content and Log are required")
	case len(o.Instance) != format.InstanceLen:
		return fmt.Errorf("data store: instance %q is not of %d hexadecimal digits", o.Instance, format.InstanceLen)
	case o.Log.Epoch() == 0 || o.Log.Epoch() > math.MaxUint32:
		return fmt.Errorf("data store: epoch %d of the metadata is out of range", o.Log.Epoch())
	case o.SegmentSize < format.BlockSize:
		return fmt.Errorf("data store: a cache of %d bytes is too small, give it at least %d", o.CacheSize, 8*format.BlockSize)
	}
	return nil
}

// LeastFiles is the least of Options.MaxFiles that a store works with.
const LeastFiles = 32

// copyFiles is how many of MaxFiles are for copies of stored segments.
func (o *Options) copyFiles() int { return min(o.MaxFiles/4, 256) }

func setDefault[T int | int64 | float64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Store is the data of all files. Safe for concurrent use.
type Store struct {
	opts       Options
	log        *commit.Log
	content    content.Store
	disk       disk.FS
	logger     *slog.Logger
	journalDir string
	lock       disk.Lock

	segments segmentTable
	extents  *extents.Table
	cache    *pagecache.Cache
	layouts  layoutQueue
	stats    counters
	failed   atomic.Pointer[error]
	failing  chan struct{} // closed after failed is set
	pins     pins

	ctx      context.Context // of background work
	cancel   context.CancelFunc
	work     sync.WaitGroup
	stopping chan struct{}   // closed when the store takes no more writes
	open     context.Context // ends with it
	shut     context.CancelFunc

	sealer, uploader, maintainer, collector, compactor wake

	compacting sync.Mutex     // held by the pass of Compact
	passes     sync.WaitGroup // of Compact; none begins once closed is set
	limiter    *rate.Limiter  // of bytes that it reads and writes
	freedSince atomic.Int64   // bytes freed since the compactor looked

	collecting sync.Mutex // held while dead segments are deleted; taken before mu
	collectErr error      // of the last one that was to be deleted; under mu

	mu       sync.Mutex
	closed   bool
	active   *segment
	spare    *segment      // made in advance to follow the active one
	creating chan struct{} // closed when the active segment has been made
	number   uint32        // of the last segment made
	room     *journal.Budget
	// awaitingCommits counts writers in waitForCommits.
	awaitingCommits atomic.Int64
	uploads         uploads
	toSeal          []*segment
	toStore         []*segment
	dead            map[format.SegmentID]time.Time // candidates for deletion, and when they died
	flush           func(ctx context.Context, ino uint64) error
	maxDirty        int64 // extents, with Remote
	maxParts        int   // see the constant
	mover           Mover
}

func (s *Store) cacheOptions() pagecache.Options {
	return pagecache.Options{
		Content: s.content, Instance: s.opts.Instance, Disk: s.disk, Path: s.segmentPath, Room: s.room,
		Stored: s.storedSegment, Run: s.background, Logger: s.logger,
		Far: s.opts.CachePages, PageSize: s.opts.PageSize, ReadAhead: s.opts.ReadAhead,
		FooterMemory: s.opts.FooterMemory, OpenFiles: s.opts.copyFiles(),
		FetchMemory: s.opts.fetchMemory, KeepFetched: s.opts.keepFetched,
	}
}

// storedSegment returns a segment that is in the content store.
func (s *Store) storedSegment(id format.SegmentID) (pagecache.Segment, bool) {
	g := s.segment(id)
	if g == nil || g.getState() != stateStored {
		return pagecache.Segment{}, false
	}
	return g.stored(), true
}

// background runs f unless the store is closed.
func (s *Store) background(f func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(func() { f(s.ctx) })
	return true
}

// wake is a signal that is never lost and never blocks the sender.
type wake chan struct{}

func (w wake) signal() {
	select {
	case w <- struct{}{}:
	default:
	}
}

func (s *Store) wakeSealer()     { s.sealer.signal() }
func (s *Store) wakeMaintainer() { s.maintainer.signal() }

// Open locks the directory, claims the content store for the instance (a
// new one where there was another is ErrOtherContent),
// recovers what a crash left and returns the store, which works in the
// background until Close.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	lock, err := lockDir(opts.Disk, opts.Dir, opts.Instance, opts.Volatile)
	if err != nil {
		return nil, err
	}
	s := newStore(opts, lock)
	if err := s.start(ctx); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func newStore(opts Options, lock disk.Lock) *Store {
	s := &Store{
		opts: opts, log: opts.Log, content: opts.Content, logger: opts.Logger, flush: opts.Flush,
		journalDir: filepath.Join(opts.Dir, format.JournalDir), lock: lock,
		stopping: make(chan struct{}), failing: make(chan struct{}),
		sealer: make(wake, 1), uploader: make(wake, 1), maintainer: make(wake, 1), collector: make(wake, 1),
		compactor: make(wake, 1), limiter: rate.NewLimiter(rate.Limit(opts.CompactRate), compactBurst),
		dead: map[format.SegmentID]time.Time{}, maxDirty: maxDirtyExtents, maxParts: maxParts,
	}
	s.disk = disk.Owned(opts.Disk, s.owned)
	s.extents = extents.NewTable(s.tableOptions())
	s.room = journal.NewBudget(s.budgetOptions())
	s.cache = pagecache.New(s.cacheOptions())
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.open, s.shut = context.WithCancel(s.ctx)
	return s
}

func (s *Store) start(ctx context.Context) error {
	if err := s.loadSegments(ctx); err != nil {
		return err
	}
	if err := s.recognise(ctx); err != nil {
		return err
	}
	if err := s.content.Claim(ctx, s.opts.Instance); err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	if err := s.recover(ctx); err != nil {
		return err
	}
	for _, run := range []func(){s.runSealer, s.runUploader, s.runMaintainer, s.runCollector, s.runCompactor, s.watchLog} {
		s.work.Go(run)
	}
	return nil
}

// owned fails the store for good once its directory is another's.
func (s *Store) owned() error {
	err := s.lock.Held()
	if errors.Is(err, disk.ErrReplaced) {
		err = &DirError{s.opts.Dir, err}
		s.fail(err)
	}
	return err
}

// Check implements fault.Checker: it looks whether the directory is still the
// store's own, so that the loss of it is known also while nothing is written.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.owned()
	if err == nil || disk.Scarce(err) || errors.Is(err, disk.ErrReplaced) {
		return err
	}
	return &fault.Error{
		Store: "cache", Reason: fault.StoreFailing, Err: err,
		Message: fmt.Sprintf("cache.path: %s cannot be looked at (%v): mend its disk or its permissions", s.opts.Dir, err),
	}
}

// SetFlush sets the function that makes all dirty data of an inode durable
// and commits it; with Remote it commits what is Stored, without waiting for
// more. It is set before the first Append.
func (s *Store) SetFlush(f func(ctx context.Context, ino uint64) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush = f
}

// segment returns a known segment, or nil.
func (s *Store) segment(id format.SegmentID) *segment { return s.segments.get(id) }

// usable is the error with which writes are refused, or nil.
func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usableLocked()
}

func (s *Store) usableLocked() error {
	if s.closed {
		return ErrClosed
	}
	return s.failure()
}

// failure is the error that stopped the store, or nil.
func (s *Store) failure() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail stops the store for good.
func (s *Store) fail(err error) {
	if !s.failed.CompareAndSwap(nil, &err) {
		return
	}
	close(s.failing)
	s.logger.Error("the data store failed", "error", err)
	if s.opts.OnFailure != nil {
		s.opts.OnFailure(err)
	}
}

// watchLog fails the store when the index can no longer be written.
func (s *Store) watchLog() {
	select {
	case <-s.ctx.Done():
	case <-s.log.Failed():
		s.fail(fmt.Errorf("index: %w", s.log.Err()))
	}
}

// Close refuses further writes, flushes all dirty data, hands the segments to
// the content store as long as ctx allows, and releases the directory. What
// could not be handed off stays in the journal for the next Open.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.stopping)
	s.shut()
	s.mu.Unlock()
	s.passes.Wait() // until what a compaction has begun is given up
	err := s.drain(ctx)
	s.cancel()
	s.work.Wait()
	s.release()
	return err
}

// release closes all files and the lock.
func (s *Store) release() {
	s.cancel()
	s.segments.each(func(g *segment) { g.dropLocal() })
	s.cache.Close()
	_ = s.lock.Close() // nothing was written through it
}

// segmentTable holds all segments that anything refers to.
type segmentTable struct {
	mu sync.RWMutex
	m  map[format.SegmentID]*segment
}

func (t *segmentTable) get(id format.SegmentID) *segment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.m[id]
}

func (t *segmentTable) put(g *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[format.SegmentID]*segment{}
	}
	t.m[g.id] = g
}

func (t *segmentTable) remove(id format.SegmentID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, id)
}

func (t *segmentTable) each(f func(*segment)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, g := range t.m {
		f(g)
	}
}
