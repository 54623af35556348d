package verify

import (
	"errors"
	"fmt"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// Kind is what a server did wrong.
type Kind string

// Kinds of faults: what was acknowledged is not there; what is there, or what was answered, was never so.
const (
	Lost  Kind = "lost"
	Wrong Kind = "wrong"
)

// Fault is a broken promise. Every other error of this package is a refusal (nfsclient.Status) or the end of a
// connection.
type Fault struct {
	Kind Kind
	text string
}

func (f *Fault) Error() string { return string(f.Kind) + ": " + f.text }

func lost(format string, args ...any) error  { return &Fault{Lost, fmt.Sprintf(format, args...)} }
func wrong(format string, args ...any) error { return &Fault{Wrong, fmt.Sprintf(format, args...)} }

// Refused says whether an error is the server's answer, rather than the end of the connection.
func Refused(err error) bool {
	var status nfsclient.Status
	var rpc *nfsclient.RPCError
	return errors.As(err, &status) || errors.As(err, &rpc)
}

// IsFault says whether an error is a broken promise.
func IsFault(err error) bool {
	var f *Fault
	return errors.As(err, &f)
}

// stale makes the refusal of a handle that must be valid a Fault.
func stale(err error, what string) error {
	var status nfsclient.Status
	if errors.As(err, &status) &&
		(status == nfsclient.ErrStale || status == nfsclient.ErrBadHandle || status == nfsclient.ErrNoEnt) {
		return lost("%s: its handle or name is no longer known: %v", what, err)
	}
	return err
}
