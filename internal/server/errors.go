package server

import (
	"errors"
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

// cause drops the path that the message names already.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
