// Package smallfile reads files that others make for us: a configuration, a secret, a
// certificate. Where one is expected there may be anything, and a server must neither
// wait for who writes into a pipe nor read a device without end. It imports nothing of
// this module.
package smallfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrNotRegular is the cause of an error of what is no regular file.
var ErrNotRegular = errors.New("a regular file is needed")

// ErrTooLarge is the cause of an error of a file with more bytes than the limit.
var ErrTooLarge = errors.New("the file is too large")

// fault is what is wrong with a file in words of its own.
type fault struct {
	what  string
	cause error
}

func (f *fault) Error() string { return f.what }

// Unwrap returns ErrNotRegular or ErrTooLarge.
func (f *fault) Unwrap() error { return f.cause }

// Read returns the bytes of a regular file, at most limit, following links. It does
// not wait for anybody but the disk. Errors are *fs.PathError; that it is no regular
// file or a larger one is ErrNotRegular or ErrTooLarge.
func Read(path string, limit int64) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = tooLarge(path, limit)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Check returns the error that Read would have, before another library reads the
// file by its path.
func Check(path string, limit int64) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > limit {
		err = tooLarge(path, limit)
	}
	return errors.Join(err, f.Close())
}

// Unfit says whether an error is that there is another thing than a small regular
// file, and not that there is nothing or that it cannot be read.
func Unfit(err error) bool { return errors.Is(err, ErrNotRegular) || errors.Is(err, ErrTooLarge) }

func tooLarge(path string, limit int64) error {
	return &fs.PathError{
		Op: "read", Path: path, Err: &fault{fmt.Sprintf("it is larger than %d bytes", limit), ErrTooLarge},
	}
}

// open looks before it opens, which for a device can have effects, and afterwards,
// since it may be another file then. Without O_NONBLOCK it would wait for the writer
// of a pipe.
func open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		pe.Op = "open" // what was asked for
	}
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err = f.Stat()
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func regular(path string, info fs.FileInfo) error {
	mode := info.Mode()
	kind := "something else"
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	}
	return &fs.PathError{
		Op: "read", Path: path, Err: &fault{fmt.Sprintf("it is %s, and must be a regular file", kind), ErrNotRegular},
	}
}
