package gc

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/data/journal"
)

// compactPatience is how long a collection waits for writers that need the
// journal, without getting on.
const compactPatience = 30 * time.Second

// Progress is how far a collection is.
type Progress struct {
	Compacted int   // segments that were rewritten, because much of them was dead
	Rewritten int64 // bytes of files that lived in them
	Dead      int   // segments that nothing refers to and that are still there
	Expected  int   // segments that are nowhere and expected, see Collector.Count
	Deleted   int   // segments, since it began
	Freed     int64 // bytes of those
	Err       error // why something is left; it is tried again later
}

// collection is one call of Collect.
type collection struct {
	Progress
	collector *Collector
	compactor *Compactor
	emit      func(Progress) error
	before    journal.Stats
}

// Collect gives space back: it rewrites segments until at most the fraction
// garbage of all stored bytes is dead, and deletes those that are dead as a
// whole, as soon as the readers that mapped them before have had their time. It
// reports after each step, and returns when all has been tried.
func Collect(
	ctx context.Context, collector *Collector, compactor *Compactor, garbage float64, emit func(Progress) error,
) error {
	c := &collection{
		collector: collector, compactor: compactor, emit: emit, before: collector.opts.Journal.Stats(),
	}
	if err := c.report(); err != nil {
		return err
	}
	if err := c.compact(ctx, garbage); err != nil {
		return err
	}
	for _, dead := range collector.candidates() {
		if err := c.pause(ctx, time.Until(dead.due)); err != nil {
			return err
		}
		if err := collector.deleteNow(dead.segment); err != nil {
			c.Err = err
		}
		if err := c.report(); err != nil {
			return err
		}
	}
	c.finish()
	return errors.Join(c.emit(c.Progress), collector.opts.Failure.Err())
}

// finish looks how far it is when the collector is not just at it.
func (c *collection) finish() {
	c.collector.deleting.Lock()
	defer c.collector.deleting.Unlock()
	c.count()
}

// report emits how far it is.
func (c *collection) report() error {
	c.count()
	return c.emit(c.Progress)
}

func (c *collection) count() {
	now := c.collector.opts.Journal.Stats()
	c.Dead, c.Expected = c.collector.Count()
	c.Deleted = int(now.Deleted - c.before.Deleted)
	c.Freed = int64(now.DeletedBytes - c.before.DeletedBytes)
}

// compact is Compactor.Compact, again and again while writers are in its way.
func (c *collection) compact(ctx context.Context, garbage float64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for giveUp := time.Now().Add(compactPatience); ; {
		segments, bytes := c.Compacted, c.Rewritten
		sum, err := c.compactor.Compact(ctx, garbage, func(sum Compaction) {
			c.Compacted, c.Rewritten = segments+sum.Segments, bytes+sum.Rewritten
			if err := c.report(); err != nil {
				cancel(err)
			}
		})
		c.Compacted, c.Rewritten = segments+sum.Segments, bytes+sum.Rewritten
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, journal.ErrCrowded):
			return err
		case sum.Segments > 0:
			giveUp = time.Now().Add(compactPatience)
		case time.Now().After(giveUp):
			c.Err = err
			return nil
		}
		if err := c.pause(ctx, compactRetry); err != nil {
			return err
		}
	}
}

// pause waits for d, or until ctx ends, or the store stops.
func (c *collection) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.collector.opts.Journal.Stopping():
		return ErrClosed
	case <-timer.C:
		return nil
	}
}

// candidate is a segment that was dead when it was looked for.
type candidate struct {
	segment *journal.Segment
	due     time.Time
}

// candidates lists the dead segments, first those whose time comes first.
func (c *Collector) candidates() (list []candidate) {
	c.mu.Lock()
	dead := maps.Clone(c.dead)
	c.mu.Unlock()
	for id, due := range dead {
		if g := c.opts.Journal.Segments().Get(id); g != nil && g.State() != journal.Missing { // those can wait
			list = append(list, candidate{g, due})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return a.due.Compare(b.due) })
	return list
}

// deleteNow deletes a segment that was dead and due, unless the collector has
// done so. The error says why it is left. A deletion that has begun goes on when who
// asked for it is gone.
func (c *Collector) deleteNow(g *journal.Segment) error {
	c.deleting.Lock()
	defer c.deleting.Unlock()
	now := time.Now()
	if c.take(g, now) {
		c.try(c.opts.Tasks.Life(), g.ID, now)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, left := c.dead[g.ID]; left {
		return c.err
	}
	return nil
}

// take takes a candidate out if its time has come.
func (c *Collector) take(g *journal.Segment, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	due, found := c.dead[g.ID]
	if !found || due.After(now) {
		return false
	}
	delete(c.dead, g.ID)
	return true
}
