package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

// ownership returns a check that the lock file at path is still the one that
// is locked: a directory that was replaced belongs to somebody else. That stat
// fails in another way than that there is no file says nothing about whose it is.
func ownership(path string, stat func(string) (fs.FileInfo, error)) (func() error, error) {
	if stat == nil {
		stat = os.Stat
	}
	name := filepath.Join(path, "LOCK")
	locked, err := stat(name)
	if err != nil {
		return nil, err
	}
	return func() error {
		now, err := stat(name)
		gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
		if gone || err == nil && !os.SameFile(locked, now) {
			return fmt.Errorf("lock file %s was replaced: %w", name, meta.ErrFenced)
		}
		return err
	}, nil
}

// own fails the store for good once the directory is not ours: what is in it
// then belongs to somebody else, also when our own comes back later. While it is
// not known whose it is, nothing is changed either, but it may be known later.
func (s *Store) own() error {
	if err := s.owned(); err != nil {
		if errors.Is(err, meta.ErrFenced) {
			return s.watch.fail(err)
		}
		return err
	}
	return nil
}

// checkOwner looks whether the directory is still ours, so that the loss of it is
// known also while nothing is written. meta.ErrFenced is for good.
func (s *Store) checkOwner(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.life.RUnlock() // a disk that does not answer must not keep Close from giving up
	err := s.own()
	if err == nil || disk.Scarce(err) || errors.Is(err, meta.ErrFenced) {
		return err
	}
	return &fault.Error{
		Store: "metadata", Reason: fault.StoreFailing, Err: err,
		Message: fmt.Sprintf("metadata.path: %s cannot be looked at (%v): mend its disk or its permissions", s.path, err),
	}
}

// ownedFS asks before each change of a directory's names whether the directory
// is still ours: Pebble makes, renames and removes files by their path, also in
// the background. What is written to a file that is open goes where that file
// is.
type ownedFS struct {
	vfs.FS
	own func() error
}

// Create implements vfs.FS.
func (fs ownedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.own(); err != nil {
		return nil, err
	}
	return fs.FS.Create(name, category)
}

// OpenReadWrite implements vfs.FS. It makes a file that is not there.
func (fs ownedFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := fs.own(); err != nil {
		return nil, err
	}
	return fs.FS.OpenReadWrite(name, category, opts...)
}

// Link implements vfs.FS.
func (fs ownedFS) Link(oldname, newname string) error {
	if err := fs.own(); err != nil {
		return err
	}
	return fs.FS.Link(oldname, newname)
}

// MkdirAll implements vfs.FS.
func (fs ownedFS) MkdirAll(dir string, perm os.FileMode) error {
	if err := fs.own(); err != nil {
		return err
	}
	return fs.FS.MkdirAll(dir, perm)
}

// Remove implements vfs.FS.
func (fs ownedFS) Remove(name string) error {
	if err := fs.own(); err != nil {
		return err
	}
	return fs.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (fs ownedFS) RemoveAll(name string) error {
	if err := fs.own(); err != nil {
		return err
	}
	return fs.FS.RemoveAll(name)
}

// Rename implements vfs.FS.
func (fs ownedFS) Rename(oldname, newname string) error {
	if err := fs.own(); err != nil {
		return err
	}
	return fs.FS.Rename(oldname, newname)
}

// ReuseForWrite implements vfs.FS.
func (fs ownedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.own(); err != nil {
		return nil, err
	}
	return fs.FS.ReuseForWrite(oldname, newname, category)
}

// Unwrap implements vfs.FS.
func (fs ownedFS) Unwrap() vfs.FS { return fs.FS }
