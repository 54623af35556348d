package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// FieldError is a fault that the configuration can mend: it names the key.
type FieldError struct {
	Field string // such as "nfs.listen"
	Err   error
}

// Error is one line: the key, what is wrong, and what to do.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// ConfigField tells the command line that this is a fault of the
// configuration (exit code 2).
func (e *FieldError) ConfigField() string { return e.Field }

func atField(field string, err error) error {
	if err == nil {
		return nil
	}
	return &FieldError{Field: field, Err: err}
}

// checkDir makes the directory if it is missing and proves that this process
// can write in it, so that the fault is found before anything is served.
func checkDir(field, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return atField(field, fmt.Errorf("cannot make %s: %w; create it, or give its parent to uid %d", dir, cause(err), os.Getuid()))
	}
	probe, err := os.CreateTemp(dir, ".write-probe-*")
	if err != nil {
		return atField(field, fmt.Errorf("cannot write in %s: %w; give it to uid %d or choose another directory", dir, cause(err), os.Getuid()))
	}
	return atField(field, errors.Join(probe.Close(), os.Remove(probe.Name())))
}

// checkApart refuses store directories that are the same: each store owns its
// directory alone. One may lie in another only below a name that the outer
// store does not use, which nobody can promise, so that is refused too.
func checkApart(dirs map[string]string) error {
	for field, dir := range dirs {
		for other, outer := range dirs {
			if field == other || dir == "" || outer == "" {
				continue
			}
			rel, err := filepath.Rel(filepath.Clean(outer), filepath.Clean(dir))
			if err == nil && rel != ".." && !startsWithDotDot(rel) {
				return atField(field, fmt.Errorf("%s lies in %s of %s; give each store a directory of its own", dir, outer, other))
			}
		}
	}
	return nil
}

func startsWithDotDot(rel string) bool {
	return len(rel) >= 3 && rel[:3] == "../"
}

// cause drops the path that the message names already.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
