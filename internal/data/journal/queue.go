package journal

import (
	"context"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// Waiting counts the segments that wait to be sealed, and those that wait for the
// content store.
func (j *Journal) Waiting() (unsealed, unsent int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.toSeal), len(j.toStore)
}

// NextUnsent returns the oldest segment that waits for the content store and that
// skip does not name, or nil. skip is called with the journal's lock held.
func (j *Journal) NextUnsent(skip func(*Segment) bool) *Segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, g := range j.toStore {
		if !skip(g) {
			return g
		}
	}
	return nil
}

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
		j.removeFile(f)
	}
	j.leaveQueue(g)
	j.budget.Leave(g.tail.room, fate == Keep)
	j.budget.Fit()
}

func (j *Journal) leaveQueue(g *Segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.toStore = without(j.toStore, g)
}

// OnTheirWay sees to it that the segments of the targets are handed off, and
// returns a channel that is closed when to look again; nil if the journal alone
// has none of them. Those who come while a segment is on its way share the next
// one.
func (j *Journal) OnTheirWay(targets []Target) <-chan struct{} {
	freed := j.budget.Freed() // before anything is looked at
	j.mu.Lock()
	defer j.mu.Unlock()
	waiting := false
	for _, t := range targets {
		g := j.table.Get(t.ID)
		waiting = waiting || g != nil && g.Unsent()
	}
	for _, g := range j.toStore {
		waiting = waiting || g.inherited
	}
	if !waiting {
		return nil
	}
	if len(j.toSeal) == 0 && len(j.toStore) == 0 {
		j.retire()
	}
	return freed
}

// WaitEmpty waits until all segments that are not open are in the content store, as
// long as ctx allows, and returns how many are not.
func (j *Journal) WaitEmpty(ctx context.Context) (left int) {
	for {
		freed := j.budget.Freed()
		unsealed, unsent := j.Waiting()
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

// Lag is what the content store does not have yet.
type Lag struct {
	// Oldest is when the oldest byte was written that is not there, zero if there
	// is none. Of segments that an earlier process left it is about that.
	Oldest   time.Time
	Bytes    int64 // of records
	Segments int
}

// Lag returns how far the content store is behind the journal.
func (j *Journal) Lag() Lag {
	j.mu.Lock()
	defer j.mu.Unlock()
	var l Lag
	if g := j.active; g != nil {
		l.addOpen(g)
	}
	for _, g := range j.toSeal {
		l.addOpen(g)
	}
	for _, g := range j.toStore {
		l.add(g, g.entry.Size)
	}
	return l
}

func (l *Lag) addOpen(g *Segment) {
	if g.tail.size > format.HeaderLen {
		l.add(g, g.tail.size)
	}
}

func (l *Lag) add(g *Segment, bytes int64) {
	l.Bytes += bytes
	l.Segments++
	if t := g.tail.begun; l.Oldest.IsZero() || !t.IsZero() && t.Before(l.Oldest) {
		l.Oldest = t
	}
}
