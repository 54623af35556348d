package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
)

func TestAnErrorThatIsOverInAMomentAsksClientsToComeAgain(t *testing.T) {
	f := &FS{logger: slog.New(slog.DiscardHandler)}
	wrap := func(errno unix.Errno) error {
		return fmt.Errorf("segment: %w", &fs.PathError{Op: "open", Path: "x", Err: errno})
	}
	for _, c := range []struct {
		err  error
		want Errno
	}{
		{wrap(unix.EMFILE), EJUKEBOX}, {wrap(unix.ENFILE), EJUKEBOX}, {wrap(unix.ENOMEM), EJUKEBOX}, {data.ErrBusy, EJUKEBOX},
		{wrap(unix.EIO), EIO}, {wrap(unix.ENOENT), EIO}, {format.ErrCorrupt, EIO}, {data.ErrNoSpace, ENOSPC},
	} {
		if got := f.errno("read", 1, c.err); !errors.Is(got, c.want) {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
