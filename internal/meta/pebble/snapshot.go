package pebble

import (
	"context"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dittofs/dittofs/internal/meta"
)

// snapshot is one of Pebble's, which must be closed before the database.
type snapshot struct {
	store *Store
	mu    sync.RWMutex     // held for reading by every call
	db    *pebble.Snapshot // nil once closed
}

// Snapshot implements meta.Snapshotter.
func (s *Store) Snapshot(ctx context.Context) (meta.Snapshot, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.RUnlock()
	snap := &snapshot{store: s, db: s.db.NewSnapshot()}
	s.snapshotsMu.Lock()
	defer s.snapshotsMu.Unlock()
	if s.snapshots == nil {
		s.snapshots = make(map[*snapshot]struct{})
	}
	s.snapshots[snap] = struct{}{}
	return snap, nil
}

// closeSnapshots closes what others left open. The caller holds life.
func (s *Store) closeSnapshots() error {
	s.snapshotsMu.Lock()
	defer s.snapshotsMu.Unlock()
	var errs []error
	for snap := range s.snapshots {
		errs = append(errs, snap.end())
	}
	s.snapshots = nil
	return errors.Join(errs...)
}

// Get implements meta.Reader.
func (s *snapshot) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		if values[i], err = get(s.db, key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Scan implements meta.Reader.
func (s *snapshot) Scan(ctx context.Context, r meta.Range, limit int) ([]meta.Pair, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return scan(ctx, s.db, r, limit)
}

// Close implements meta.Snapshot. After a failure of the store Pebble is left
// as it is.
func (s *snapshot) Close() error {
	if err := s.store.enter(context.Background()); err != nil {
		return nil
	}
	defer s.store.life.RUnlock()
	s.store.snapshotsMu.Lock()
	delete(s.store.snapshots, s)
	s.store.snapshotsMu.Unlock()
	return s.end()
}

func (s *snapshot) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := classify(s.db.Close())
	s.db = nil
	return err
}

func (s *snapshot) enter(ctx context.Context) (leave func(), err error) {
	if err := s.store.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	leave = func() { s.mu.RUnlock(); s.store.life.RUnlock() }
	if s.db == nil {
		leave()
		return nil, meta.ErrClosed
	}
	return leave, nil
}
