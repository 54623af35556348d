package memory

import (
	"context"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/meta"
)

// snapshot shares the nodes of the store's tree: whoever changes one of them
// copies it first.
type snapshot struct {
	store *Store
	tree  atomic.Pointer[tree] // nil once closed
}

// Snapshot implements meta.Snapshotter.
func (s *Store) Snapshot(ctx context.Context) (meta.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	snap := &snapshot{store: s}
	snap.tree.Store(s.tree.Clone())
	return snap, nil
}

// Get implements meta.Reader.
func (s *snapshot) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	t, err := s.usable(ctx)
	if err != nil {
		return nil, err
	}
	return get(t, keys), nil
}

// Scan implements meta.Reader.
func (s *snapshot) Scan(ctx context.Context, r meta.Range, limit int) ([]meta.Pair, error) {
	t, err := s.usable(ctx)
	if err != nil {
		return nil, err
	}
	return scan(t, r, limit), nil
}

// Close implements meta.Snapshot.
func (s *snapshot) Close() error {
	s.tree.Store(nil)
	return nil
}

func (s *snapshot) usable(ctx context.Context) (*tree, error) {
	t := s.tree.Load()
	if t == nil {
		return nil, meta.ErrClosed
	}
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	return t, s.store.usable(ctx)
}
