package filesystem

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk"
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
	if err := s.disk.RenameNoReplace(temp, path); err != nil {
		return errors.Join(err, s.disk.Remove(temp))
	}
	return s.disk.SyncDir(filepath.Dir(path))
}

// writeTemp writes a temporary file, synced.
func (s *Store) writeTemp(ctx context.Context, r io.ReaderAt, size int64) (_ string, err error) {
	path := filepath.Join(s.path(tempDir), s.token+"-"+rand.Text())
	f, err := s.disk.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, s.disk.Remove(path))
		}
	}()
	section := io.NewSectionReader(r, 0, size)
	from := readFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return section.Read(p)
	})
	n, err := io.CopyBuffer(io.NewOffsetWriter(f, 0), from, make([]byte, min(size, copyBytes)+1))
	if err != nil {
		return "", err
	}
	if n < size {
		return "", fmt.Errorf("%d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return path, f.Sync()
}

// readFunc is a function that is an io.Reader.
type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// confirm succeeds if the file at path has the content of r; it is durable on
// return.
func (s *Store) confirm(ctx context.Context, path string, r io.ReaderAt, size int64) error {
	f, err := s.disk.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	err = compare(ctx, f, r, size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), s.disk.SyncDir(filepath.Dir(path)))
}

// confirmFile is confirm with the content of another file.
func (s *Store) confirmFile(ctx context.Context, path, other string) error {
	f, err := s.disk.OpenFile(other, os.O_RDONLY)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil {
		err = s.confirm(ctx, path, f, size)
	}
	return errors.Join(err, f.Close())
}

func compare(ctx context.Context, f disk.File, r io.ReaderAt, size int64) error {
	if n, err := f.Size(); err != nil {
		return err
	} else if n != size {
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
	if err := s.disk.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.disk.SyncDir(parent); err != nil {
		return err
	}
	s.durable.Store(path, struct{}{})
	return nil
}
