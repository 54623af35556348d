package worker

import (
	"context"
	"sync"
)

// Tasks are goroutines that end together. Safe for concurrent use.
type Tasks struct {
	life   context.Context //nolint:containedctx // it is what ends all of them
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

// NewTasks returns a group of which none runs.
func NewTasks() *Tasks {
	t := &Tasks{}
	t.life, t.cancel = context.WithCancel(context.Background())
	return t
}

// Life ends when Close is called.
func (t *Tasks) Life() context.Context { return t.life }

// Go runs f with Life; false if Close was called.
func (t *Tasks) Go(f func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.group.Go(func() { f(t.life) })
	return true
}

// Close ends Life and returns when all have returned.
func (t *Tasks) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.group.Wait()
}
