package commit

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/memory"
)

// gated is a memory store whose Apply waits for a permit, so that a test
// decides what is durable. It stays readable after Close.
type gated struct {
	*memory.Store
	permits chan struct{}
	open    chan struct{} // closed: no permit is needed
	entered chan int      // changes of each batch that reaches Apply
}

func newGated() *gated {
	return &gated{
		Store:   memory.Open(),
		permits: make(chan struct{}),
		open:    make(chan struct{}),
		entered: make(chan int, 1<<16),
	}
}

func (s *gated) Apply(ctx context.Context, b *meta.Batch) error {
	s.entered <- b.Len()
	select {
	case <-s.permits:
	case <-s.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Store.Apply(ctx, b)
}

func (s *gated) Close() error { return nil }

var errDisk = errors.New("disk full")

// failing is a memory store whose Apply and Get can be made to fail.
type failing struct {
	*memory.Store
	mu      sync.Mutex
	budget  int // Applies that still succeed
	tried   int
	getFail error
}

func (s *failing) Apply(ctx context.Context, b *meta.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	if s.budget == 0 {
		return errDisk
	}
	s.budget--
	return s.Store.Apply(ctx, b)
}

func (s *failing) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.getFail != nil {
		return nil, s.getFail
	}
	return s.Store.Get(ctx, keys...)
}

func (s *failing) Close() error { return nil }

func put(pairs ...string) *meta.Batch {
	b := &meta.Batch{}
	for i := 0; i < len(pairs); i += 2 {
		b.Put([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return b
}

func add(key string, delta int64) *meta.Batch {
	b := &meta.Batch{}
	b.Add([]byte(key), delta)
	return b
}

func mustGet(t testing.TB, r meta.Reader, key string) []byte {
	t.Helper()
	values, err := r.Get(t.Context(), []byte(key))
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return values[0]
}

func mustApply(t testing.TB, l *Log, b *meta.Batch) {
	t.Helper()
	if err := l.Apply(b); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func closeAtEnd(t testing.TB, l *Log) {
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}
