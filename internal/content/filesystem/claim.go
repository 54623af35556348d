package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk"
)

// Claim implements content.Store. Only the owner may know that a temporary
// file is nobody's: the first successful Claim removes what a crash has left.
func (s *Store) Claim(ctx context.Context, instance string) error {
	if err := content.CheckInstance(instance); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	if err := s.claim(ctx, instance); err != nil {
		return fmt.Errorf("content directory %s: %w", s.dir, err)
	}
	s.instance.Store(&instance)
	var err error
	s.sweep.Do(func() { err = s.removeLeftovers() })
	return err
}

func (s *Store) claim(ctx context.Context, instance string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	got, err := s.owner()
	if err == nil && got == "" {
		line := instance + "\n"
		err = s.writeFile(ctx, instanceFile, strings.NewReader(line), int64(len(line)))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		got, err = s.owner()
	}
	if err != nil {
		return err
	}
	if got != instance {
		return fmt.Errorf("it belongs to instance %.40q, this is %s; give each instance a directory of its own: %w",
			got, instance, content.ErrForeign)
	}
	return s.disk.SyncDir(s.dir)
}

// Owner implements content.Store.
func (s *Store) Owner(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	owner, err := s.owner()
	if err != nil {
		return "", fmt.Errorf("content directory %s: %w", s.dir, err)
	}
	return owner, nil
}

func (s *Store) owner() (string, error) {
	line, err := disk.ReadFile(s.disk, s.path(instanceFile), maxMarker)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(line)), err
}

func (s *Store) removeLeftovers() error {
	entries, err := s.disk.ReadDir(s.path(tempDir))
	if err != nil {
		return fmt.Errorf("temporary files: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), s.token) {
			continue
		}
		if err := s.disk.Remove(filepath.Join(s.path(tempDir), e.Name())); err != nil && !absent(err) {
			return fmt.Errorf("temporary files: %w", err)
		}
	}
	return nil
}
