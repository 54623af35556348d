package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data/cachedir"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/worker"
	"github.com/dittofs/dittofs/internal/meta"
	"golang.org/x/sys/unix"
)

// ErrClosed tells that the journal takes no more writes.
var ErrClosed = errors.New("data store is closed")

// Index is what the journal needs of the metadata. *commit.Log is one.
type Index interface {
	meta.Reader
	Epoch() uint64
	Counter(ctx context.Context, key []byte) (int64, error)
	Apply(b *meta.Batch) error
}

// Owner is what the journal needs of those above it. Only Flush and Delete may
// block.
type Owner interface {
	// Flush commits the dirty extents of files in a segment, as far as it can.
	Flush(ctx context.Context, id format.SegmentID)
	// Evict removes pages of at least n bytes, if there are that many, and returns
	// how many it did.
	Evict(n int64) int64
	// MayMake says whether a segment of so many bytes may be made, for clients or
	// for a compaction; an error says what it would take the last of.
	MayMake(bytes int64, rewriting bool) error
	// MayDelete begins the deletion of a segment that no file uses, which ends when
	// done is called; not ok if it must stay.
	MayDelete(id format.SegmentID) (done func(), ok bool)
	// Delete removes a segment from the content store, if it is there.
	Delete(ctx context.Context, id format.SegmentID) error
	// Sealed says that a segment waits to be put into the content store.
	Sealed()
	// Unused says that a segment that is no longer in the journal is used by no file.
	Unused(g *Segment)
	// Freed says that files have given up n bytes of segments.
	Freed(n int64)
}

// Options of a Journal. All but MaxParts and the booleans are required.
type Options struct {
	Dir      *cachedir.Dir
	Instance string
	Index    Index
	Owner    Owner
	Tasks    *worker.Tasks   // in which the journal's own goroutines run
	Failure  *worker.Failure // of the store; of a failed sync
	Logger   *slog.Logger

	CacheSize   int64 // bounds segments and pages together, in bytes
	SegmentSize int64 // at which segments are sealed, in bytes
	MaxFiles    int   // of segments, each of which is open
	MaxParts    int   // of the checksums of an open segment; default is the constant
	// MaxWait is how long a writer waits for room before it is told to try again
	// (ErrBusy), and FullTimeout how long nothing may leave a full journal before
	// writers get ErrNoSpace.
	MaxWait, FullTimeout time.Duration
	// SealAfter is how long a segment is kept open without a write, or with ByAge
	// since its first.
	SealAfter time.Duration
	ByAge     bool
	// Remote says that extents are committed when the content store has their
	// segment.
	Remote bool
}

// Journal is the segments of this disk that the content store does not have yet,
// and the table of all others. Safe for concurrent use.
type Journal struct {
	opts   Options
	dir    *cachedir.Dir
	budget *Budget
	table  Table
	stats  counters

	maker    maker
	appender appender
	queue    queue

	sealer   worker.Signal
	stopping chan struct{} // closed, with appender.mu held, when no more is written
}

// counters are what happened since New.
type counters struct {
	appended, syncs, waits        atomic.Uint64
	sealed, deleted, deletedBytes atomic.Uint64
}

// New returns a journal without segments. Recovery fills it with those of the index
// and of the directory; then Start is called.
func New(o Options) *Journal {
	j := &Journal{
		opts: o, dir: o.Dir,
		sealer: worker.NewSignal(), stopping: make(chan struct{}),
	}
	j.maker.j = j
	j.appender.init(j)
	if o.MaxParts == 0 {
		j.opts.MaxParts = maxParts
	}
	j.budget = NewBudget(BudgetOptions{
		CacheSize: o.CacheSize, MaxFiles: o.MaxFiles, FullTimeout: o.FullTimeout, Evict: o.Owner.Evict,
		Failing: o.Failure.Failed(), Failure: o.Failure.Err, Stopping: j.stopping, Stopped: ErrClosed,
		Waiting: func() { j.stats.waits.Add(1) },
	})
	return j
}

// Start begins the work in the background.
func (j *Journal) Start() {
	j.opts.Tasks.Go(j.runSealer)
	j.opts.Tasks.Go(j.appender.runKeeper)
}

// Segments is the table of all segments, of the journal and of the content store.
func (j *Journal) Segments() *Table { return &j.table }

// Budget divides the cache directory.
func (j *Journal) Budget() *Budget { return j.budget }

// Stopping is closed by Stop.
func (j *Journal) Stopping() <-chan struct{} { return j.stopping }

// Stop refuses further writes (ErrClosed).
func (j *Journal) Stop() {
	j.appender.mu.Lock()
	defer j.appender.mu.Unlock()
	if !j.stopped() {
		close(j.stopping)
	}
}

func (j *Journal) stopped() bool {
	select {
	case <-j.stopping:
		return true
	default:
		return false
	}
}

// Close closes all files. Nothing runs any more.
func (j *Journal) Close() { j.table.Each((*Segment).dropLocal) }

// usable is the error with which writes are refused, or nil.
func (j *Journal) usable() error {
	if j.stopped() {
		return ErrClosed
	}
	return j.opts.Failure.Err()
}

// Stats are figures for metrics. Those named after things done count since
// New; the others are of now.
type Stats struct {
	Unsealed, Unsent              int // segments that wait for the sealer, and for the content store
	Appended, Syncs, Waits        uint64
	Sealed, Deleted, DeletedBytes uint64
}

// Stats returns the present figures.
func (j *Journal) Stats() Stats {
	st := Stats{
		Appended: j.stats.appended.Load(), Syncs: j.stats.syncs.Load(), Waits: j.stats.waits.Load(),
		Sealed: j.stats.sealed.Load(), Deleted: j.stats.deleted.Load(), DeletedBytes: j.stats.deletedBytes.Load(),
	}
	st.Unsealed, st.Unsent = j.Waiting()
	return st
}

// PutEntry makes the state of a segment durable, and with it that the index knows
// the segment.
func (j *Journal) PutEntry(g *Segment, state format.EntryState) error {
	entry := g.entry
	entry.State = state
	b := &meta.Batch{}
	b.Put(format.SegmentKey(g.ID), entry.Encode())
	return j.opts.Index.Apply(b)
}

// Kill makes it durable that a segment which nothing refers to is dead, before the
// content store is asked to delete it: a crash in between leaves no object that
// nobody knows, and who is no longer the owner deletes nothing.
func (j *Journal) Kill(g *Segment) error {
	if g.entry.State != 0 {
		if err := j.PutEntry(g, format.Dead); err != nil {
			return err
		}
	}
	g.setState(Dead)
	return nil
}

// Forget takes a segment that is gone out of the index and the table.
func (j *Journal) Forget(g *Segment) error {
	b := &meta.Batch{}
	b.Delete(format.SegmentKey(g.ID))
	b.Delete(format.LiveKey(g.ID))
	if err := j.opts.Index.Apply(b); err != nil {
		return err
	}
	g.setState(Dead)
	j.table.remove(g.ID)
	j.stats.deleted.Add(1)
	j.stats.deletedBytes.Add(uint64(max(g.tail.size, g.entry.Size)))
	return nil
}

// Referred says whether the index refers to bytes of the segment, by the counter
// that is kept with the extents.
func (j *Journal) Referred(ctx context.Context, id format.SegmentID) (n int64, err error) {
	return j.opts.Index.Counter(ctx, format.LiveKey(id))
}

// noSpace makes the errors of a full disk ErrNoSpace.
func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
