package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Scarce says whether an operation failed because the process or the system had
// no descriptor or no memory left for it. It says nothing about a file or a
// store, and may succeed a moment later.
func Scarce(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// Passing says whether reading a small file, such as one with a secret, may
// succeed a moment later though nobody mends it: Scarce, a signal, or a
// filesystem that does not answer just now.
func Passing(err error) bool {
	for _, passing := range []error{unix.EINTR, unix.EAGAIN, unix.EIO, unix.ETIMEDOUT, unix.ESTALE} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return Scarce(err)
}
