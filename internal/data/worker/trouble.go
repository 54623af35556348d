package worker

import (
	"errors"
	"syscall"
)

// Trouble is what the log was told last of something that is tried for ever: it
// is told again when it is another. Not for concurrent use.
type Trouble struct{ what string }

// Began says whether the error is news.
func (t *Trouble) Began(err error) bool {
	if what := cause(err); what != t.what {
		t.what = what
		return true
	}
	return false
}

// Ended says whether there was any.
func (t *Trouble) Ended() bool {
	was := t.what != ""
	t.what = ""
	return was
}

// cause is the innermost error: those around it name another segment each time.
func cause(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}
