package gc

import (
	"context"
	"sync"

	"github.com/dittofs/dittofs/internal/data/format"
)

// Pins decide whether a segment that no file uses may be deleted. Safe for
// concurrent use.
type Pins struct {
	// pinned says that a segment must stay though no file uses it, because a
	// backup refers to it. It does not block.
	pinned func(format.SegmentID) bool

	mu       sync.Mutex
	all      int           // calls of PinAll that were not released
	deleting int           // deletions under way
	idle     chan struct{} // closed when deleting is 0; nil if nobody waits
}

// NewPins returns those of a store whose backups refer to what pinned says; nil for
// nothing.
func NewPins(pinned func(format.SegmentID) bool) *Pins {
	if pinned == nil {
		pinned = func(format.SegmentID) bool { return false }
	}
	return &Pins{pinned: pinned}
}

// Pinned says whether a backup refers to the segment.
func (p *Pins) Pinned(id format.SegmentID) bool { return p.pinned(id) }

// MayDelete begins the deletion of a segment that nothing refers to, and says
// whether it may go on; then done ends it. A segment that must stay is
// considered again when that may have changed.
func (p *Pins) MayDelete(id format.SegmentID) (done func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all > 0 || p.pinned(id) {
		return nil, false
	}
	p.deleting++
	return p.deleted, true
}

func (p *Pins) deleted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deleting--; p.deleting == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// pinAll refuses all deletions until unpin is called. idle, if it is not nil, is
// closed when those that were under way are over.
func (p *Pins) pinAll() (idle <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all++
	if p.deleting == 0 {
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	return p.idle
}

func (p *Pins) unpin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
}

// PinAll keeps every segment until release is called; deletions that were under way
// are over when it returns. What died meanwhile is considered then.
func (c *Collector) PinAll(ctx context.Context) (release func(), err error) {
	idle := c.opts.Pins.pinAll()
	release = sync.OnceFunc(func() {
		c.opts.Pins.unpin()
		c.Reconsider()
	})
	if idle == nil {
		return release, nil
	}
	select {
	case <-idle:
		return release, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.opts.Tasks.Life().Done():
		err = ErrClosed
	}
	release()
	return nil, err
}
