package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/content"
)

// writeFile makes the file name, in a directory that exists, with size bytes
// of r. It is durable on return. If there is such a file already, the error
// is fs.ErrExist.
func (s *Store) writeFile(ctx context.Context, name string, r io.ReaderAt, size int64) error {
	temp, err := s.writeTemp(ctx, r, size)
	if err != nil {
		return err
	}
	path := s.path(name)
	if err := renameNew(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp writes a temporary file, synced.
func (s *Store) writeTemp(ctx context.Context, r io.ReaderAt, size int64) (path string, err error) {
	f, err := os.CreateTemp(s.path(tempDir), s.token+"-*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	n, err := io.CopyBuffer(onlyWriter{f}, &reader{ctx, io.NewSectionReader(r, 0, size)}, make([]byte, min(size, copyBytes)+1))
	if err != nil {
		return "", err
	}
	if n < size {
		return "", fmt.Errorf("%d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return f.Name(), f.Sync()
}

// onlyWriter hides File.ReadFrom, which would not use the buffer.
type onlyWriter struct{ io.Writer }

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// confirm succeeds if the file at path has the content of r; it is durable on
// return.
func (s *Store) confirm(ctx context.Context, path string, r io.ReaderAt, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = compare(ctx, f, r, size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), syncDir(filepath.Dir(path)))
}

// confirmFile is confirm with the content of another file.
func (s *Store) confirmFile(ctx context.Context, path, other string) error {
	f, err := os.Open(other)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = s.confirm(ctx, path, f, info.Size())
	}
	return errors.Join(err, f.Close())
}

func compare(ctx context.Context, f *os.File, r io.ReaderAt, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != size {
		return content.ErrExists
	}
	a, b := make([]byte, copyBytes), make([]byte, copyBytes)
	for off := int64(0); off < size; off += copyBytes {
		n := int(min(size-off, copyBytes))
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := errors.Join(readFull(f, a[:n], off), readFull(r, b[:n], off)); err != nil {
			return err
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return content.ErrExists
		}
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// renameNew renames from to to, which must not exist (fs.ErrExist).
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// A filesystem without the flag: a second name, then the first goes.
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// mkdir makes the directory path below dir, and all above it, durable.
func (s *Store) mkdir(path string) error {
	if _, ok := s.durable.Load(path); ok || path == s.dir {
		return nil
	}
	parent := filepath.Dir(path)
	if !strings.HasPrefix(path, s.dir) || parent == path {
		return fmt.Errorf("%s is outside of %s", path, s.dir)
	}
	if err := s.mkdir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncDir(parent); err != nil {
		return err
	}
	s.durable.Store(path, struct{}{})
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
