package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/dittofs/dittofs/internal/content"
)

// List implements content.Store. It holds the names of one directory of each
// level in memory.
func (s *Store) List(ctx context.Context, prefix string, f func(id string, size int64) error) error {
	if s.files.isClosed() {
		return fmt.Errorf("list %s: %w", prefix, os.ErrClosed)
	}
	// A directory that is away, before or meanwhile, is no empty store.
	if err := s.owned(); err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	if err := s.list(ctx, "", prefix, f); err != nil {
		return err
	}
	if err := s.owned(); err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	return nil
}

// list lists the objects in the directory dir, "" or a name that ends in "/".
func (s *Store) list(ctx context.Context, dir, prefix string, f func(id string, size int64) error) error {
	entries, err := s.disk.ReadDir(s.path(dir))
	if err != nil && !absent(err) {
		return fmt.Errorf("list: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if name, ok := nameOf(e); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names) // "a-b", "a/", "a0": the order of whole names
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := dir + name
		switch isDir := strings.HasSuffix(id, "/"); {
		case isDir && (strings.HasPrefix(id, prefix) || strings.HasPrefix(prefix, id)):
			err = s.list(ctx, id, prefix, f)
		case !isDir && strings.HasPrefix(id, prefix):
			err = s.listObject(id, f)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *Store) listObject(id string, f func(id string, size int64) error) error {
	info, err := s.disk.Lstat(s.LocalPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", id, err)
	}
	return f(id, info.Size())
}

// nameOf is an entry's part of an object's name, with a "/" behind it if it
// is a directory.
func nameOf(e fs.DirEntry) (name string, ok bool) {
	if e.IsDir() {
		return e.Name() + "/", content.CheckID(e.Name()) == nil
	}
	name, ok = strings.CutSuffix(e.Name(), suffix)
	return name, ok && e.Type().IsRegular() && content.CheckID(name) == nil
}
