package journal

import (
	"context"

	"github.com/dittofs/dittofs/internal/disk"
)

// Waiting counts the segments that wait to be sealed, and those that wait for the
// content store.
func (j *Journal) Waiting() (unsealed, unsent int) { return j.queue.len() }

// NextUnsent returns the oldest segment that waits for the content store and that
// skip does not name, or nil. skip is called with the queue's lock held.
func (j *Journal) NextUnsent(skip func(*Segment) bool) *Segment { return j.queue.next(skip) }

// Offer returns the file of a sealed segment, and notes that the content store may
// have it from now on. One caller has a segment at a time, see NextUnsent.
func (j *Journal) Offer(g *Segment) *disk.Shared {
	g.offered = true
	return g.local.Load()
}

// Fate is what becomes of a segment's local file when the content store has it.
type Fate int

// Fates of a local file.
const (
	Remove Fate = iota // it is not needed
	Keep               // it is a copy of pages now
	Moved              // the content store has taken it
)

// Sent says that a segment is in the content store, and the index says so too. Its
// room goes to who waits for it.
func (j *Journal) Sent(g *Segment, fate Fate) {
	f := g.local.Load()
	g.setState(Stored)
	g.dropLocal()
	if fate == Remove {
		j.maker.removeFile(f)
	}
	j.queue.remove(g)
	j.budget.Leave(g.tail.room, fate == Keep)
	j.budget.Fit()
}

// OnTheirWay sees to it that the segments of the targets are handed off, and
// returns a channel that is closed when to look again; nil if the journal alone
// has none of them. Those who come while a segment is on its way share the next
// one.
func (j *Journal) OnTheirWay(targets []Target) <-chan struct{} {
	freed := j.budget.Freed() // before anything is looked at
	j.appender.mu.Lock()      // so that no segment is between being open and the queue
	defer j.appender.mu.Unlock()
	empty, waiting := j.queue.state()
	for _, t := range targets {
		g := j.table.Get(t.ID)
		waiting = waiting || g != nil && g.Unsent()
	}
	if !waiting {
		return nil
	}
	if empty {
		j.appender.retire()
	}
	return freed
}

// WaitEmpty waits until all segments that are not open are in the content store, as
// long as ctx allows, and returns how many are not.
func (j *Journal) WaitEmpty(ctx context.Context) (left int) {
	for {
		freed := j.budget.Freed()
		unsealed, unsent := j.queue.len()
		left = unsealed + unsent
		if left == 0 || j.opts.Failure.Err() != nil {
			return left
		}
		select {
		case <-freed:
		case <-j.opts.Failure.Failed():
		case <-ctx.Done():
			return left
		}
	}
}

// Lag returns how far the content store is behind the journal.
func (j *Journal) Lag() Lag {
	j.appender.mu.Lock()
	defer j.appender.mu.Unlock()
	var l Lag
	if g := j.appender.active; g != nil {
		l.addOpen(g)
	}
	j.queue.addTo(&l)
	return l
}
