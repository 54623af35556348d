package process

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BuildFor compiles the server for one test.
func BuildFor(t testing.TB) string {
	t.Helper()
	binary, err := Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// NewFor is a server with a folder of the test's own and the stores of Configure. It is killed when the test ends.
// Nothing is started.
func NewFor(t testing.TB, binary, stores string) *Server {
	t.Helper()
	s, err := New(binary, t.TempDir())
	if err == nil {
		err = s.Configure(stores)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Signal(syscall.SIGKILL) })
	return s
}

// StartFor is Start, without which the test cannot go on.
func (s *Server) StartFor(t testing.TB) time.Duration {
	t.Helper()
	took, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	return took
}

// SmallDiskFor mounts a filesystem of so many bytes at a directory that it makes, for the time of a test. Without the
// right to mount, the test is skipped.
func SmallDiskFor(t testing.TB, dir string, size int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("small", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", size)); err != nil {
		t.Skip("needs the right to mount a tmpfs: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil { // a server may still use it
			t.Error(err)
		}
	})
}
