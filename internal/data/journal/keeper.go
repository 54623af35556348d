package journal

import (
	"context"
	"time"
)

// runKeeper has a spare segment made when the active one is half full, and retires
// the active one when nobody writes. It has a timer only while there is something to
// wait for: an idle store does nothing.
func (j *Journal) runKeeper(ctx context.Context) {
	for wait := time.Duration(0); j.keeper.Sleep(ctx, wait); {
		j.provideSpare()
		wait = 0
		if due := j.retireIdle(time.Now()); !due.IsZero() {
			wait = max(time.Until(due), time.Millisecond)
		}
	}
}

// retireIdle retires the active segment when its time has come, and returns
// when to look again; the zero time if there is none. With a content store on
// this machine a segment waits until it has not been written for SealAfter; with one
// far away, where its data is safer, until its first record is that old.
func (j *Journal) retireIdle(now time.Time) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := j.active
	if g == nil {
		return time.Time{}
	}
	since := g.tail.touched
	if j.opts.ByAge && !g.tail.begun.IsZero() {
		since = g.tail.begun
	}
	if due := since.Add(j.opts.SealAfter); now.Before(due) {
		return due
	}
	j.retire()
	j.dropSpare()
	return time.Time{}
}

// provideSpare makes the segment that will follow the active one, when that
// is half full, so that no writer waits for its file. An error is met again by
// the writer that needs it.
func (j *Journal) provideSpare() {
	if !j.beginSpare() {
		return
	}
	g, _ := j.newSegment(j.opts.SegmentSize, func(room int64) error {
		if j.opts.Owner.MayMake(room, false) != nil {
			return ErrNoSpace
		}
		return j.budget.TryReserve(room, false)
	})
	j.endCreation(g, &j.spare)
}

func (j *Journal) beginSpare() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := j.active
	if g == nil || g.tail.size <= g.tail.capacity/2 || j.spare != nil || j.creating != nil || j.usable() != nil {
		return false
	}
	j.creating = make(chan struct{})
	return true
}

// dropSpare removes a spare segment that is not needed. The caller holds mu.
func (j *Journal) dropSpare() {
	if g := j.spare; g != nil {
		j.spare = nil
		j.discard(g)
	}
}

// Retire hands the active segment, if there is one, to the sealer.
func (j *Journal) Retire() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.retire()
}

// retire is Retire for a caller that holds mu.
func (j *Journal) retire() {
	if g := j.active; g != nil {
		j.active = nil
		j.toSealer(g)
	}
}

// toSealer hands an open segment to the sealer. The caller holds mu.
func (j *Journal) toSealer(g *Segment) {
	g.retired.Store(true)
	j.toSeal = append(j.toSeal, g)
	j.sealer.Send()
}

// RetireAll leaves no segment open.
func (j *Journal) RetireAll() {
	for created := j.tryRetireAll(); created != nil; created = j.tryRetireAll() {
		<-created
	}
}

// tryRetireAll is RetireAll, unless one is being made just now: then it returns
// what is closed when that is over.
func (j *Journal) tryRetireAll() (created <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.creating != nil {
		return j.creating
	}
	j.retire()
	j.dropSpare()
	return nil
}
