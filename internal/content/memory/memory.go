// Package memory is a content store that keeps objects in memory and forgets
// them when the process ends. It serves instances whose storage is all
// "memory", and tests.
package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/dittofs/dittofs/internal/content"
)

// Store is a map of objects.
type Store struct {
	mu       sync.RWMutex
	objects  map[string][]byte // contents are constant
	instance string
	closed   bool
}

var _ content.Store = (*Store)(nil)

// Open returns a new, empty store.
func Open() *Store { return &Store{objects: make(map[string][]byte)} }

// Put implements content.Store.
func (s *Store) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	if err := errors.Join(content.CheckID(id), ctx.Err()); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if size < 0 {
		return fmt.Errorf("put %s: size %d", id, size)
	}
	var object bytes.Buffer // grows with what arrives, not with what is said
	n, err := io.Copy(&object, io.NewSectionReader(r, 0, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("put %s: %w", id, os.ErrClosed)
	}
	if old, ok := s.objects[id]; ok {
		if !bytes.Equal(old, object.Bytes()) {
			return fmt.Errorf("put %s: %w", id, content.ErrExists)
		}
		return nil
	}
	s.objects[id] = bytes.Clone(object.Bytes())
	return nil
}

// ReadAt implements content.Store.
func (s *Store) ReadAt(ctx context.Context, id string, p []byte, off int64) (int, error) {
	object, err := s.get(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", id, err)
	}
	n, err := bytes.NewReader(object).ReadAt(p, off)
	if n == len(p) {
		err = nil
	} else if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, fmt.Errorf("read %s at %d: %w", id, off, err)
	}
	return n, nil
}

// Size implements content.Store.
func (s *Store) Size(ctx context.Context, id string) (int64, error) {
	object, err := s.get(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", id, err)
	}
	return int64(len(object)), nil
}

func (s *Store) get(ctx context.Context, id string) ([]byte, error) {
	if err := errors.Join(content.CheckID(id), ctx.Err()); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, os.ErrClosed
	}
	object, ok := s.objects[id]
	if !ok {
		return nil, content.ErrNotFound
	}
	return object, nil
}

// Delete implements content.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := errors.Join(content.CheckID(id), ctx.Err()); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("delete %s: %w", id, os.ErrClosed)
	}
	delete(s.objects, id)
	return nil
}

// List implements content.Store.
func (s *Store) List(ctx context.Context, prefix string, f func(id string, size int64) error) error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return fmt.Errorf("list %s: %w", prefix, os.ErrClosed)
	}
	objects := maps.Clone(s.objects)
	s.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(objects)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !strings.HasPrefix(id, prefix) {
			continue
		}
		if err := f(id, int64(len(objects[id]))); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Claim implements content.Store.
func (s *Store) Claim(ctx context.Context, instance string) error {
	if err := errors.Join(content.CheckInstance(instance), ctx.Err()); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instance == "" {
		s.instance = instance
	}
	if s.instance != instance {
		return fmt.Errorf("claim for instance %s: it belongs to %s: %w", instance, s.instance, content.ErrForeign)
	}
	return nil
}

// Owner implements content.Store.
func (s *Store) Owner(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instance, ctx.Err()
}

// Close implements content.Store and frees the memory.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects, s.closed = nil, true
	return nil
}
