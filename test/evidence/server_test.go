package evidence

import (
	"os"
	"sync"
	"testing"

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

func newServer(t *testing.T) *process.Server {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return process.NewFor(t, binary, process.Local)
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

func metrics(t *testing.T, s *process.Server) map[string]float64 {
	t.Helper()
	m, err := s.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return m
}
