package gc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/data/worker"
)

// ErrClosed tells that the store was closed.
var ErrClosed = journal.ErrClosed

const (
	// lateUpload is how late an upload of a server before this one may arrive.
	lateUpload = time.Hour
	// collectAgain is the pause before a segment is looked at again that batches on
	// their way still refer to.
	collectAgain = time.Second
)

// CollectorOptions are what a Collector needs. All are required.
type CollectorOptions struct {
	Journal *journal.Journal
	Index   journal.Index
	Content content.Store
	Cache   *pagecache.Cache
	Pins    *Pins
	Tasks   *worker.Tasks
	Failure *worker.Failure
	Logger  *slog.Logger
	// DeleteAfter is how long a dead segment is kept for readers that mapped it
	// before, and RetryEvery the pause after an error.
	DeleteAfter, RetryEvery time.Duration
}

// Collector deletes segments that no file uses from the content store. Safe for
// concurrent use.
type Collector struct {
	opts    CollectorOptions
	signal  worker.Signal
	errors  atomic.Uint64 // of the content store
	orphans atomic.Uint64 // that were deleted

	deleting sync.Mutex // held while dead segments are deleted; taken before mu
	mu       sync.Mutex
	dead     map[format.SegmentID]time.Time // candidates for deletion, and when their time comes
	err      error                          // of the last one that was to be deleted
}

// NewCollector returns one without candidates.
func NewCollector(o CollectorOptions) *Collector {
	return &Collector{opts: o, signal: worker.NewSignal(), dead: map[format.SegmentID]time.Time{}}
}

// Start begins the work in the background.
func (c *Collector) Start() { c.opts.Tasks.Go(c.run) }

// Errors counts those of the content store.
func (c *Collector) Errors() uint64 { return c.errors.Load() }

// OrphansDeleted counts those that Orphans has deleted.
func (c *Collector) OrphansDeleted() uint64 { return c.orphans.Load() }

// Unused makes a segment that is no longer in the journal, and that no file uses, a
// candidate for deletion.
func (c *Collector) Unused(g *journal.Segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.dead[g.ID]; !ok {
		c.dead[g.ID] = time.Now().Add(c.opts.DeleteAfter)
		c.signal.Send()
	}
}

// Expect makes a sealed segment that is nowhere, and that nothing refers to, a
// candidate for deletion after a long time: a server that has lost its stores,
// and does not know it yet, may still be putting the object.
func (c *Collector) Expect(g *journal.Segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead[g.ID] = time.Now().Add(max(c.opts.DeleteAfter, lateUpload))
	c.signal.Send()
}

// Reconsider makes candidates of all segments that no file uses: for when a backup
// that referred to them is gone.
func (c *Collector) Reconsider() {
	unused := c.opts.Journal.Segments().Select(func(g *journal.Segment) bool { return !g.Unsent() && g.Unused() })
	for _, g := range unused {
		c.Unused(g)
	}
}

// Count returns how many segments wait to be deleted, and how many are nowhere while
// nothing refers to them: these are forgotten when no upload of a server before this
// one can arrive any more.
func (c *Collector) Count() (dead, expected int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.dead {
		if g := c.opts.Journal.Segments().Get(id); g != nil && g.State() == journal.Missing {
			expected++
		} else {
			dead++
		}
	}
	return dead, expected
}

// run deletes candidates when their time has come. An idle store has none.
func (c *Collector) run(ctx context.Context) {
	for wait := time.Duration(0); c.signal.Sleep(ctx, wait); {
		wait = c.Pass(ctx, time.Now())
	}
}

// Pass deletes the candidates whose time has come and returns how long to wait for
// the next one; 0 if there is none.
func (c *Collector) Pass(ctx context.Context, now time.Time) time.Duration {
	c.deleting.Lock()
	defer c.deleting.Unlock()
	for _, id := range c.takeDue(now) {
		c.try(ctx, id, now)
	}
	next := c.nextDue()
	if next.IsZero() {
		return 0
	}
	return max(time.Until(next), time.Millisecond)
}

// takeDue takes out the candidates whose time has come. One that is used again
// meanwhile comes back when it is no longer.
func (c *Collector) takeDue(now time.Time) (ids []format.SegmentID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, due := range c.dead {
		if !due.After(now) {
			ids = append(ids, id)
			delete(c.dead, id)
		}
	}
	return ids
}

func (c *Collector) nextDue() (next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, due := range c.dead {
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}

// try deletes a candidate that was taken out, or puts it back for later.
func (c *Collector) try(ctx context.Context, id format.SegmentID, now time.Time) {
	done, err := c.delete(ctx, id)
	again := collectAgain
	if err != nil && ctx.Err() == nil {
		c.errors.Add(1)
		c.opts.Logger.Warn("a dead segment could not be deleted", "segment", id.String(), "error", err)
		again = c.opts.RetryEvery
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	if !done {
		c.dead[id] = now.Add(again)
	}
}

// delete deletes a segment if nothing refers to it, neither durably nor in batches
// on their way; done says that it is no longer a candidate.
func (c *Collector) delete(ctx context.Context, id format.SegmentID) (done bool, err error) {
	if err := c.opts.Failure.Err(); err != nil {
		return false, err
	}
	j := c.opts.Journal
	g := j.Segments().Get(id)
	if g == nil || !g.Unused() {
		return true, nil
	}
	if n, err := j.Referred(ctx, id); err != nil || n != 0 {
		return n < 0, err
	}
	deleted, ok := c.opts.Pins.MayDelete(id)
	if !ok {
		return true, nil
	}
	defer deleted()
	if err := j.Kill(g); err != nil {
		return false, err
	}
	j.Budget().GivePages(c.opts.Cache.Forget(id))
	if err := c.opts.Content.Delete(ctx, id.Object()); err != nil {
		return false, fmt.Errorf("content store: %w", err)
	}
	if err := j.Forget(g); err != nil {
		return false, err
	}
	c.opts.Cache.ForgetFooter(id)
	return true, nil
}
