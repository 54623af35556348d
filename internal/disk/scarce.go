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
