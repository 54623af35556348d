// Package filesystem keeps objects as files in a directory of this machine.
//
//	FORMAT                 marks the directory as a content store
//	INSTANCE               who owns it (Claim)
//	TMP/                   files that are being written
//	segments/1/2.DATA      the object "segments/1/2"
//
// Object names have no upper-case letters, so none of them meets these names.
// A file gets its name only when it is complete and synced, and no name is
// ever given to another file.
package filesystem

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
)

const (
	format       = "dittofs content store, format 1\n"
	formatFile   = "FORMAT"
	instanceFile = "INSTANCE"
	tempDir      = "TMP"
	suffix       = ".DATA"

	copyBytes = 1 << 20
	// maxMarker bounds FORMAT and INSTANCE, in bytes; both are shorter.
	maxMarker = 256
)

// DefaultOpenFiles is what Options.OpenFiles is if it is 0.
const DefaultOpenFiles = 256

// Store is a content store in a directory.
type Store struct {
	disk    disk.FS
	dir     string
	token   string // begins the names of this Store's temporary files
	files   fileCache
	sweep   sync.Once
	durable sync.Map // directories that were made, or found, and synced

	instance atomic.Pointer[string] // that has claimed the store; nil before
}

var (
	_ content.Store   = (*Store)(nil)
	_ content.Adopter = (*Store)(nil)
	_ content.Local   = (*Store)(nil)
	_ fault.Checker   = (*Store)(nil)
)

// Open opens the store in dir, which is created if it does not exist. A
// directory with other files in it is refused and left as it is.
func Open(dir string) (*Store, error) { return OpenOn(disk.OS{}, dir) }

// Options of a Store. The zero value is usable.
type Options struct {
	// Disk holds the directory; nil means the operating system.
	Disk disk.FS
	// OpenFiles bounds the objects that are kept open for readers; 0 means
	// DefaultOpenFiles.
	OpenFiles int
}

// OpenOn is Open on another disk.
func OpenOn(d disk.FS, dir string) (*Store, error) { return OpenWith(dir, Options{Disk: d}) }

// OpenWith is Open with options.
func OpenWith(dir string, o Options) (*Store, error) {
	d := o.Disk
	if d == nil {
		d = disk.OS{}
	}
	if o.OpenFiles <= 0 {
		o.OpenFiles = DefaultOpenFiles
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("content directory %s: %w", dir, err)
	}
	s := &Store{dir: absolute, token: rand.Text()[:10]}
	s.disk = disk.Owned(d, s.owned)
	s.files.init(ownDisk{d, s.owned}, o.OpenFiles)
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("content directory %s: %w", dir, err)
	}
	return s, nil
}

// prepare makes an empty directory a content store, or checks that it is one.
func (s *Store) prepare() error {
	if err := disk.MkdirAll(s.disk, s.dir); err != nil {
		return err
	}
	if err := s.disk.Access(s.dir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("not writable: %w", err)
	}
	found, err := disk.ReadFile(s.disk, s.path(formatFile), maxMarker)
	if errors.Is(err, fs.ErrNotExist) {
		return s.create()
	}
	if err != nil {
		return err
	}
	if string(found) != format {
		return fmt.Errorf("unknown format: %s has %.60q, this version knows %q", formatFile, found, format)
	}
	return s.mkdir(s.path(tempDir))
}

func (s *Store) create() error {
	if err := s.checkEmpty(); err != nil {
		return err
	}
	if err := s.mkdir(s.path(tempDir)); err != nil {
		return err
	}
	err := s.writeFile(context.Background(), formatFile, strings.NewReader(format), int64(len(format)))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Put implements content.Store.
func (s *Store) Put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	if err := s.usable(ctx, id); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if size < 0 {
		return fmt.Errorf("put %s: size %d", id, size)
	}
	err := s.put(ctx, id, r, size)
	if err != nil {
		return fmt.Errorf("put %s: %w", id, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, id string, r io.ReaderAt, size int64) error {
	path := s.LocalPath(id)
	if _, err := s.disk.Lstat(path); err == nil {
		return s.confirm(ctx, path, r, size)
	}
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	err := s.writeFile(ctx, s.relative(path), r, size)
	if errors.Is(err, fs.ErrExist) {
		return s.confirm(ctx, path, r, size)
	}
	return err
}

// Adopt implements content.Adopter. When the object exists with the same
// content, the file at path is removed.
func (s *Store) Adopt(ctx context.Context, id, path string) (moved bool, err error) {
	if err := s.usable(ctx, id); err != nil {
		return false, fmt.Errorf("adopt: %w", err)
	}
	moved, err = s.adopt(ctx, id, path)
	if err != nil {
		return false, fmt.Errorf("adopt %s as %s: %w", path, id, err)
	}
	return moved, nil
}

func (s *Store) adopt(ctx context.Context, id, path string) (moved bool, err error) {
	target := s.LocalPath(id)
	if err := s.mkdir(filepath.Dir(target)); err != nil {
		return false, err
	}
	err = s.disk.RenameNoReplace(path, target)
	switch {
	case errors.Is(err, unix.EXDEV):
		return false, nil
	case errors.Is(err, fs.ErrExist):
		if err := s.confirmFile(ctx, target, path); err != nil {
			return false, err
		}
		if err := s.disk.Remove(path); err != nil {
			return false, err
		}
	case errors.Is(err, fs.ErrNotExist) && s.exists(target):
		// An earlier call has moved it, and could not say that it is durable.
	case err != nil:
		return false, err
	}
	return true, errors.Join(s.disk.SyncDir(filepath.Dir(target)), s.disk.SyncDir(filepath.Dir(path)))
}

func (s *Store) exists(path string) bool {
	_, err := s.disk.Lstat(path)
	return err == nil
}

// ReadAt implements content.Store.
func (s *Store) ReadAt(ctx context.Context, id string, p []byte, off int64) (int, error) {
	if err := s.usable(ctx, id); err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	f, err := s.files.acquire(s.LocalPath(id))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", id, notFound(err))
	}
	defer s.files.release(f)
	n, err := f.ReadAt(p, off)
	if n == len(p) && off >= 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("read %s at %d: %w", id, off, err)
}

// Size implements content.Store.
func (s *Store) Size(ctx context.Context, id string) (int64, error) {
	if err := s.usable(ctx, id); err != nil {
		return 0, fmt.Errorf("size: %w", err)
	}
	info, err := s.disk.Lstat(s.LocalPath(id))
	if err == nil || absent(err) {
		if away := s.owned(); away != nil {
			err = away
		}
	}
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", id, notFound(err))
	}
	return info.Size(), nil
}

// Delete implements content.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := s.usable(ctx, id); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	path := s.LocalPath(id)
	err := s.disk.Remove(path)
	s.files.forget(path)
	if err == nil || absent(err) { // it may have gone without being synced
		err = s.disk.SyncDir(filepath.Dir(path))
	}
	if err != nil && !absent(err) {
		return fmt.Errorf("delete %s: %w", id, err)
	}
	return nil
}

// LocalPath implements content.Local.
func (s *Store) LocalPath(id string) string { return s.path(id) + suffix }

// Capacity returns the size of the filesystem that holds the store and what
// this process can still use of it, in bytes.
func (s *Store) Capacity() (total, free uint64, err error) {
	if err := s.owned(); err != nil {
		return 0, 0, err
	}
	return s.disk.Statfs(s.dir)
}

// Close implements content.Store.
func (s *Store) Close() error { return s.files.close() }

func (s *Store) path(relative string) string { return filepath.Join(s.dir, relative) }

func (s *Store) relative(path string) string { return strings.TrimPrefix(path, s.dir+"/") }

func (s *Store) usable(ctx context.Context, id string) error {
	if err := content.CheckID(id); err != nil {
		return err
	}
	if s.files.isClosed() {
		return os.ErrClosed
	}
	return ctx.Err()
}

// absent reports whether err says that there is no such file. A directory on
// the way that is missing, or another kind of file, says the same.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

func notFound(err error) error {
	if absent(err) {
		return content.ErrNotFound
	}
	return err
}
