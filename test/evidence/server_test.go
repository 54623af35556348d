package evidence

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "evidence")
	if err != nil {
		return "", err
	}
	builtIn = dir
	return process.Build(dir)
})

var builtIn string

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// theServer is the program, which is built once for all tests.
func theServer(t *testing.T) string {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func newServer(t *testing.T, stores string) *process.Server {
	t.Helper()
	return process.NewFor(t, theServer(t), stores)
}

func connect(t *testing.T, s *process.Server) *nfsclient.Client {
	t.Helper()
	c, err := nfsclient.Dial(s.NFS, nfsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func metrics(t *testing.T, s *process.Server) process.Figures {
	t.Helper()
	m, err := s.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// waitUntil waits until something holds of the metrics.
func waitUntil(t *testing.T, s *process.Server, what string, holds func(process.Figures) bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !holds(metrics(t, s)); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come; the server's log ends:\n%s", what, s.Log())
		}
	}
}
