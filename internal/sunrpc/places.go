package sunrpc

import (
	"sync"
	"sync/atomic"
)

// places is a counting semaphore that costs one atomic operation while there is
// room.
type places struct {
	most    int64
	taken   atomic.Int64
	waiting atomic.Int64
	mu      sync.Mutex
	freed   sync.Cond
}

func newPlaces(most int) *places {
	p := &places{most: int64(most)}
	p.freed.L = &p.mu
	return p
}

// try takes a place if there is one.
func (p *places) try() bool {
	for {
		n := p.taken.Load()
		if n >= p.most {
			return false
		}
		if p.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// take takes a place, and waits for it.
func (p *places) take() {
	if p.try() {
		return
	}
	p.waiting.Add(1)
	p.mu.Lock()
	for !p.try() {
		p.freed.Wait()
	}
	p.mu.Unlock()
	p.waiting.Add(-1)
}

// free gives a place back.
func (p *places) free() {
	p.taken.Add(-1)
	if p.waiting.Load() > 0 {
		p.mu.Lock() // who waits has tried before, or tries after this
		p.freed.Signal()
		p.mu.Unlock()
	}
}
