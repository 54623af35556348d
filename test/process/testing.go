package process

import (
	"syscall"
	"testing"
	"time"
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

// NewFor is a server with a folder of the test's own and the stores of Configure. It is killed when the test ends. Nothing is
// started.
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
