package gc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/data/worker"
	"golang.org/x/time/rate"
)

const (
	// compactRetry is the pause of the compactor when something is in its way,
	// and spareFor that of a segment that did not get emptier.
	compactRetry = time.Second
	spareFor     = 10 * time.Minute
	// maxCompacted bounds the segments of one job.
	maxCompacted = 64
	// compactBurst is what a compaction may read or write at once.
	compactBurst = 1 << 20
)

// CompactorOptions are what a Compactor needs. All are required.
type CompactorOptions struct {
	Journal *journal.Journal
	Extents *extents.Table
	Cache   *pagecache.Cache
	Pins    *Pins
	Tasks   *worker.Tasks
	Failure *worker.Failure
	Logger  *slog.Logger
	// Move moves extents of an inode that were copied: those that are still current
	// come into the index in place of the old ones, durably. An inode that is gone is
	// no error.
	Move func(ctx context.Context, ino uint64, moves []extents.Move) error
	// Behind says that the content store does not take what it is given.
	Behind func() bool
	// Garbage is the fraction of all stored bytes that may be dead before segments
	// are rewritten; from 1 on none are.
	Garbage float64
	// Rate bounds the bytes that are read and written in a second.
	Rate int64
	// SegmentSize is that of the journal, and Transfers how many segments may be on
	// their way to the content store.
	SegmentSize int64
	Transfers   int
	RetryEvery  time.Duration // the pause after an error
	Layout      LayoutOptions
}

// Compactor copies what lives in segments that are mostly dead into new ones, and
// files that lie in small pieces into segments in order. Safe for concurrent use.
type Compactor struct {
	opts    CompactorOptions
	signal  worker.Signal
	limiter *rate.Limiter // of bytes that it reads and writes
	layouts layoutQueue
	freed   atomic.Int64 // bytes, since the compactor looked
	stats   compactorCounters

	passing sync.Mutex // held by a pass; taken before mu
	mu      sync.Mutex
	stopped bool
	cancel  context.CancelFunc // of the pass that runs, or nil
	passes  sync.WaitGroup     // none begins once stopped is set
}

type compactorCounters struct{ compacted, rewritten, laidOut atomic.Uint64 }

// NewCompactor returns one that has nothing to do yet.
func NewCompactor(o CompactorOptions) *Compactor {
	return &Compactor{opts: o, signal: worker.NewSignal(), limiter: rate.NewLimiter(rate.Limit(o.Rate), compactBurst)}
}

// Start begins the work in the background, with what an earlier process left.
func (c *Compactor) Start() {
	c.opts.Tasks.Go(c.run)
	c.Wake()
}

// Wake has the compactor look whether there is something to do.
func (c *Compactor) Wake() { c.signal.Send() }

// Freed notes n bytes that files have given up.
func (c *Compactor) Freed(n int64) {
	if c.freed.Add(n) >= c.opts.SegmentSize/4 {
		c.freed.Store(0)
		c.Wake()
	}
}

// Stop ends the pass that runs, returns when it has, and lets none begin.
func (c *Compactor) Stop() {
	c.stop()
	c.passes.Wait()
}

func (c *Compactor) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.cancel != nil {
		c.cancel()
	}
}

func (c *Compactor) isStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// Compaction is what a pass of Compact has done.
type Compaction struct {
	Segments  int   `json:"segments"`  // rewritten
	Rewritten int64 `json:"rewritten"` // bytes of files
	Freed     int64 `json:"freed"`     // bytes of segments that nothing refers to any more
}

// run rewrites segments that are mostly dead, when enough of the store is. It sleeps
// while nothing is freed.
func (c *Compactor) run(ctx context.Context) {
	var told worker.Trouble
	for wait := time.Duration(0); c.signal.Sleep(ctx, wait); {
		wait = 0
		if c.opts.Garbage >= 1 {
			continue
		}
		_, err := c.Compact(ctx, c.opts.Garbage, nil)
		if err == nil {
			wait, err = c.LayOut(ctx, c.opts.Garbage)
		}
		switch {
		case errors.Is(err, journal.ErrCrowded):
			wait = compactRetry
		case err != nil && !c.isStopped() && c.opts.Failure.Err() == nil:
			wait = c.opts.RetryEvery
			if told.Began(err) {
				c.opts.Logger.Warn("a compaction failed; it is tried again", "error", err)
			}
		case err == nil && told.Ended():
			c.opts.Logger.Info("compaction works again")
		}
	}
}

// Compact rewrites what still lives in segments of which much is dead, until
// less than the fraction garbage of all stored bytes is, and reports after each
// step. The segments are deleted later, when readers that mapped them are done.
// One pass runs at a time.
func (c *Compactor) Compact(ctx context.Context, garbage float64, report func(Compaction)) (sum Compaction, err error) {
	err = c.pass(ctx, func(ctx context.Context) error {
		for ctx.Err() == nil {
			victims := c.victims(garbage, time.Now())
			if len(victims) == 0 {
				return c.opts.Failure.Err()
			}
			if c.busy() {
				return journal.ErrCrowded
			}
			step, err := c.rewrite(ctx, victims)
			sum.Segments += step.Segments
			sum.Rewritten += step.Rewritten
			sum.Freed += step.Freed
			if err != nil {
				return err
			}
			if report != nil {
				report(sum)
			}
		}
		return ctx.Err()
	})
	return sum, err
}

// pass calls f, one at a time, with a context that ends when Stop is called.
func (c *Compactor) pass(ctx context.Context, f func(context.Context) error) error {
	c.passing.Lock()
	defer c.passing.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !c.beginPass(cancel) {
		return ErrClosed
	}
	defer c.endPass()
	return f(ctx)
}

func (c *Compactor) beginPass(cancel context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	c.cancel = cancel
	c.passes.Add(1)
	return true
}

func (c *Compactor) endPass() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = nil
	c.passes.Done()
}

// busy says whether a compaction would be in the way of writers.
func (c *Compactor) busy() bool {
	use := c.opts.Journal.Budget().Use()
	unsealed, unsent := c.opts.Journal.Waiting()
	return use.Waiting > 0 || unsealed+unsent > c.opts.Transfers || use.Journal > use.Limit/2
}

// Usage sums the bytes of files in stored segments, and those that files have.
// Segments that a backup keeps do not count: rewriting them would take space and
// give none back.
func (c *Compactor) Usage() (payload, live int64) {
	c.opts.Journal.Segments().Each(func(g *journal.Segment) {
		if c.rewritable(g) {
			payload += g.Entry().Payload
			live += g.Live()
		}
	})
	return payload, live
}

func (c *Compactor) rewritable(g *journal.Segment) bool {
	return g.State() == journal.Stored && !g.Unused() && !c.opts.Pins.Pinned(g.ID)
}

// victims are the segments to rewrite next, the emptiest first, as many as fill
// one; none if at most the fraction garbage of all is dead.
func (c *Compactor) victims(garbage float64, now time.Time) []*journal.Segment {
	if payload, live := c.Usage(); float64(payload-live) <= garbage*float64(payload) {
		return nil
	}
	victims := c.opts.Journal.Segments().Select(func(g *journal.Segment) bool {
		return c.rewritable(g) && !g.Spared(now) && g.DeadFraction() > garbage/2
	})
	slices.SortFunc(victims, func(a, b *journal.Segment) int { return cmp.Compare(b.DeadFraction(), a.DeadFraction()) })
	var sum int64
	for i, g := range victims {
		if sum += g.Live(); i == maxCompacted || i > 0 && sum > c.opts.SegmentSize {
			return victims[:i]
		}
	}
	return victims
}

// allow waits until a compaction may read or write n bytes more.
func (c *Compactor) allow(ctx context.Context, n int) error {
	for ; n > 0; n -= compactBurst {
		if err := c.limiter.WaitN(ctx, min(n, compactBurst)); err != nil {
			return err
		}
	}
	return nil
}

// CompactorStats are figures for metrics, since NewCompactor but for LayOuts.
type CompactorStats struct {
	Compacted, Rewritten, LaidOut uint64 // segments, bytes, bytes
	LayOuts                       int64  // files that wait to be laid out
}

// Stats returns the present figures.
func (c *Compactor) Stats() CompactorStats {
	return CompactorStats{
		Compacted: c.stats.compacted.Load(), Rewritten: c.stats.rewritten.Load(), LaidOut: c.stats.laidOut.Load(),
		LayOuts: c.layouts.n.Load(),
	}
}
