package journal

import (
	"context"
	"time"
)

// runKeeper has a spare segment made when the active one is half full, and retires
// the active one when nobody writes. It has a timer only while there is something to
// wait for: an idle store does nothing.
func (a *appender) runKeeper(ctx context.Context) {
	for wait := time.Duration(0); a.keeper.Sleep(ctx, wait); {
		a.provideSpare()
		wait = 0
		if due := a.retireIdle(time.Now()); !due.IsZero() {
			wait = max(time.Until(due), time.Millisecond)
		}
	}
}

// retireIdle retires the active segment when its time has come, and returns
// when to look again; the zero time if there is none. With a content store on
// this machine a segment waits until it has not been written for SealAfter; with one
// far away, where its data is safer, until its first record is that old.
func (a *appender) retireIdle(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.active
	if g == nil {
		return time.Time{}
	}
	since := g.tail.touched
	if a.j.opts.ByAge && !g.tail.begun.IsZero() {
		since = g.tail.begun
	}
	if due := since.Add(a.j.opts.SealAfter); now.Before(due) {
		return due
	}
	a.retire()
	a.dropSpare()
	return time.Time{}
}

// provideSpare makes the segment that will follow the active one, when that
// is half full, so that no writer waits for its file. An error is met again by
// the writer that needs it.
func (a *appender) provideSpare() {
	if !a.beginSpare() {
		return
	}
	g, _ := a.j.maker.newSegment(a.j.opts.SegmentSize, func(room int64) error {
		if a.j.opts.Owner.MayMake(room, false) != nil {
			return ErrNoSpace
		}
		return a.j.budget.TryReserve(room, false)
	})
	a.endCreation(g, &a.spare)
}

func (a *appender) beginSpare() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.active
	if g == nil || g.tail.size <= g.tail.capacity/2 || a.spare != nil || a.creating != nil || a.j.usable() != nil {
		return false
	}
	a.creating = make(chan struct{})
	return true
}

// dropSpare removes a spare segment that is not needed. The caller holds mu.
func (a *appender) dropSpare() {
	if g := a.spare; g != nil {
		a.spare = nil
		a.j.maker.discard(g)
	}
}

// retire is Retire for a caller that holds mu.
func (a *appender) retire() {
	if g := a.active; g != nil {
		a.active = nil
		a.j.queue.retire(g)
		a.j.sealer.Send()
	}
}

// tryRetireAll is RetireAll, unless one is being made just now: then it returns
// what is closed when that is over.
func (a *appender) tryRetireAll() (created <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.creating != nil {
		return a.creating
	}
	a.retire()
	a.dropSpare()
	return nil
}

// Retire hands the active segment, if there is one, to the sealer.
func (j *Journal) Retire() {
	j.appender.mu.Lock()
	defer j.appender.mu.Unlock()
	j.appender.retire()
}

// RetireAll leaves no segment open.
func (j *Journal) RetireAll() {
	for created := j.appender.tryRetireAll(); created != nil; created = j.appender.tryRetireAll() {
		<-created
	}
}
