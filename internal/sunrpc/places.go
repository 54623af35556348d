package sunrpc

import (
	"sync"
	"sync/atomic"
)

// places is a counting semaphore that costs one atomic operation while there is
// room. Who waits gets a place in turn: were it left to who comes first, a
// reader that gives its place back and comes again would always be that.
type places struct {
	most    int64
	taken   atomic.Int64
	waiting atomic.Int64 // changed with mu held
	mu      sync.Mutex
	queue   []chan struct{} // of those who wait, closed when they have a place
}

func newPlaces(most int) *places { return &places{most: int64(most)} }

// try takes a place if there is one that nobody waits for.
func (p *places) try() bool { return p.waiting.Load() == 0 && p.grab() }

// grab takes a place if there is one.
func (p *places) grab() bool {
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
	if turn := p.enqueue(); turn != nil {
		<-turn
	}
}

// enqueue returns what is closed when there is a place, nil if there is one now.
func (p *places) enqueue() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting.Add(1) // before the last look, which free looks for after it has given a place back
	if len(p.queue) == 0 && p.grab() {
		p.waiting.Add(-1)
		return nil
	}
	turn := make(chan struct{})
	p.queue = append(p.queue, turn)
	return turn
}

// free gives a place back.
func (p *places) free() {
	p.taken.Add(-1)
	if p.waiting.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 && p.grab() {
		close(p.queue[0])
		p.queue = p.queue[1:]
		p.waiting.Add(-1)
	}
}
