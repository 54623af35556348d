// Package memory is a metadata store that keeps everything in memory and
// forgets it when the process ends. It serves instances whose storage is all
// "memory", and tests: it is the smallest store that keeps the contract of
// package meta.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/RaduBerinde/btreemap"

	"github.com/dittofs/dittofs/internal/meta"
)

// degree of the B-tree: nodes of up to 63 pairs were fastest for keys of
// 10 to 30 bytes.
const degree = 32

type tree = btreemap.BTreeMap[[]byte, []byte]

// Store is an ordered map in memory. Its epoch is always 1: nobody else can
// own it.
type Store struct {
	mu   sync.RWMutex
	tree *tree // nil once closed
}

var _ meta.Store = (*Store)(nil)

// Open returns a new, empty store.
func Open() *Store {
	return &Store{tree: btreemap.New[[]byte, []byte](degree, bytes.Compare)}
}

// Get implements meta.Reader. The values are of one moment.
func (s *Store) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	return get(s.tree, keys), nil
}

// Scan implements meta.Reader. The pairs are of one moment.
func (s *Store) Scan(ctx context.Context, r meta.Range, limit int) ([]meta.Pair, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	return scan(s.tree, r, limit), nil
}

func get(t *tree, keys [][]byte) [][]byte {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		if _, v, ok := t.Get(key); ok {
			values[i] = clone(v)
		}
	}
	return values
}

func scan(t *tree, r meta.Range, limit int) []meta.Pair {
	if r.End != nil && bytes.Compare(r.Start, r.End) >= 0 {
		return nil
	}
	end := btreemap.Max[[]byte]()
	if r.End != nil {
		end = btreemap.LT(r.End)
	}
	each := t.Ascend(btreemap.GE(r.Start), end)
	if r.Reverse {
		each = t.Descend(end, btreemap.GE(r.Start))
	}
	var pairs []meta.Pair
	for k, v := range each {
		if len(pairs) >= limit {
			break
		}
		pairs = append(pairs, meta.Pair{Key: clone(k), Value: clone(v)})
	}
	return pairs
}

// Apply implements meta.Store.
func (s *Store) Apply(ctx context.Context, b *meta.Batch) error {
	for i := range b.Ops {
		if k := b.Ops[i].Kind; k != meta.OpPut && k != meta.OpDelete {
			return fmt.Errorf("apply batch: change %d is of kind %d; a store takes puts and deletes", i, k)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	for i := range b.Ops {
		op := &b.Ops[i]
		if op.Kind == meta.OpPut {
			s.tree.ReplaceOrInsert(op.Key, op.Value)
		} else {
			s.tree.Delete(op.Key)
		}
	}
	return nil
}

// Epoch implements meta.Store.
func (s *Store) Epoch() uint64 { return 1 }

// Close implements meta.Store and frees the memory.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tree == nil {
		return meta.ErrClosed
	}
	s.tree = nil
	return nil
}

func (s *Store) usable(ctx context.Context) error {
	if s.tree == nil {
		return meta.ErrClosed
	}
	return ctx.Err()
}

// clone copies b and is never nil, which would mean absent.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
