package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/worker"
)

// appender gives records their places in the active segment. Safe for concurrent use.
type appender struct {
	j      *Journal
	keeper worker.Signal

	mu       sync.Mutex // also of the tails of all open segments
	active   *Segment
	spare    *Segment      // made in advance to follow the active one
	creating chan struct{} // closed when the segment that is being made has been
}

func (a *appender) init(j *Journal) { a.j, a.keeper = j, worker.NewSignal() }

// reserve finds room for a record of n bytes, whose parts have the checksums.
func (a *appender) reserve(ctx context.Context, n int64, length int, sums []uint32) (*Segment, int64, error) {
	var deadline time.Time
	for {
		if err := a.j.opts.Failure.Err(); err != nil {
			return nil, 0, err
		}
		g, pos, halfFull := a.place(n, length, sums)
		if halfFull {
			a.keeper.Send() // for a spare
		}
		if g != nil {
			return g, pos, nil
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(a.j.opts.MaxWait)
		}
		if err := a.rotate(ctx, n, deadline); err != nil {
			return nil, 0, err
		}
	}
}

// place gives a record its place in the active segment; nil if there is none.
// halfFull says that the segment has just become so, and that no other is ready to
// follow it.
func (a *appender) place(n int64, length int, sums []uint32) (g *Segment, pos int64, halfFull bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g = a.active
	if g == nil || a.j.stopped() || !a.takes(g, n) {
		return nil, 0, false
	}
	pos = a.extend(g, n, length, sums)
	g.tail.touched = time.Now()
	if pos == format.HeaderLen {
		g.tail.begun = g.tail.touched
	}
	if t := &g.tail; t.sparing && t.size > t.filled {
		g.fill()
	}
	g.uses.pending.Add(1)
	g.uses.writing.Add(1)
	half := g.tail.capacity / 2
	return g, pos, a.spare == nil && g.tail.size > half && pos <= half
}

// takes says whether an open segment has room for a record of n bytes. The caller
// holds mu.
func (a *appender) takes(g *Segment, n int64) bool {
	return g.tail.size+n <= g.tail.capacity && !g.sums.Load().full(a.j.opts.MaxParts)
}

// extend makes an open segment longer by a record of n bytes, of which length are a
// file's, and returns its place. The caller holds mu.
func (a *appender) extend(g *Segment, n int64, length int, sums []uint32) (pos int64) {
	pos = g.tail.size
	g.sums.Load().add(pos+format.RecordHeaderLen, length, sums)
	g.tail.size += n
	return pos
}

// rotate provides another active segment with room for n bytes, or waits until
// another writer has done so.
func (a *appender) rotate(ctx context.Context, n int64, deadline time.Time) error {
	created, mine, err := a.beginRotation(n)
	if err != nil || created == nil {
		return err
	}
	if !mine {
		return a.j.budget.Park(ctx, created, n, deadline)
	}
	g, err := a.j.maker.newSegment(max(a.j.opts.SegmentSize, format.HeaderLen+n), func(room int64) error {
		if err := a.j.opts.Owner.MayMake(room, false); err != nil {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return a.j.budget.Reserve(ctx, room, n, deadline)
	})
	a.endCreation(g, &a.active)
	a.keeper.Send()
	return err
}

// beginRotation retires the active segment if it does not take n bytes more, and
// puts the spare one in its place. If there is none it returns a channel that is
// closed when a new one was made or could not be: by another writer, or by the
// caller, if it is its turn.
func (a *appender) beginRotation(n int64) (created chan struct{}, mine bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.j.usable(); err != nil { // nothing is made behind who closes the store
		return nil, false, err
	}
	if a.active != nil && a.takes(a.active, n) {
		return nil, false, nil // another writer's
	}
	a.retire()
	if a.creating != nil {
		return a.creating, false, nil
	}
	if g := a.spare; g != nil && g.tail.size+n <= g.tail.capacity {
		g.tail.touched = time.Now()
		a.active, a.spare = g, nil
		a.keeper.Send()
		return nil, false, nil
	}
	a.creating = make(chan struct{})
	return a.creating, true, nil
}

// endCreation puts a new segment, if one could be made, where to points.
func (a *appender) endCreation(g *Segment, to **Segment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g != nil {
		*to = g
	}
	close(a.creating)
	a.creating = nil
}

// abandon stops the use of a segment in which a record could not be written.
func (a *appender) abandon(g *Segment, err error) {
	a.j.opts.Logger.Error("a write to the journal failed; continuing in another segment",
		"segment", g.ID.String(), "error", err)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.active == g {
		a.retire()
	}
}

// beginSync returns the size of a segment, whether all of that is written, and notes
// whether little came since the last sync.
func (a *appender) beginSync(g *Segment) (size int64, whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := &g.tail
	t.sparing, t.asked = t.size-t.asked <= fewBytes, t.size
	return t.size, g.uses.writing.Load() == 0
}
