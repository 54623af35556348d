package config

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestTheHintForAFileSaysWhatMendsIt(t *testing.T) {
	uid := os.Getuid()
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOENT: "does not exist; make it, or name another",
		syscall.EACCES: fmt.Sprintf("cannot be read by uid %d: permission denied; let uid %d read it, and enter the directories above it", uid, uid),
		syscall.EIO:    fmt.Sprintf("cannot be read by uid %d: input/output error; mend it, or name another", uid),
	} {
		what, hint := fileFault(&fs.PathError{Op: "open", Path: "/secret", Err: errno})
		if got := what + "; " + hint; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
