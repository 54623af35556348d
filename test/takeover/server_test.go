package takeover

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/pgserver"
	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/s3server"
)

func TestMain(m *testing.M) { pgserver.Main(m) }

// lease is metadata.owner_lease, the least that the configuration takes.
const lease = 2 * time.Second

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// world is a database, a bucket and the program.
type world struct {
	binary   string
	database string
	postgres *pgserver.Server
	bucket   string
	s3       *s3server.Server
	dsnFile  string
	keyFile  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		binary: process.BuildFor(t), dsnFile: filepath.Join(t.TempDir(), "dsn"), postgres: pgserver.Shared(t),
		s3: s3server.Start(t, s3server.Options{}),
	}
	w.database, w.bucket, w.keyFile = w.postgres.NewDatabase(t), w.s3.Bucket(t), w.s3.Credentials(t)
	if err := os.WriteFile(w.dsnFile, []byte(w.postgres.DSN(w.database)), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// server is a dittofs with a cache of its own, started again and again.
type server struct {
	*process.Server
	name string
}

func (w *world) server(t *testing.T, name string) *server {
	t.Helper()
	s := &server{process.NewFor(t, w.binary, fmt.Sprintf(`
cache:      {path: DIR/cache, size: 256MiB, flush_interval: 500ms}
metadata:   {type: postgres, dsn_file: %s, owner_lease: %s}
content:    {type: s3, bucket: %s, endpoint: %q, region: %s, credentials_file: %s, addressing: path}
durability: remote
`, w.dsnFile, lease, w.bucket, w.s3.Endpoint, w.s3.Region, w.keyFile)), name}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.name, s.Log())
		}
	})
	return s
}

// spawn starts the process and waits for nothing.
func (s *server) spawn(t *testing.T) {
	t.Helper()
	if err := s.Launch(); err != nil {
		t.Fatal(err)
	}
}

// signal does not wait for the end of the process.
func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.PID(), sig); err != nil {
		t.Fatal(err)
	}
}

// exit waits for the end of the process and returns its exit code; -1 if it was
// killed.
func (s *server) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-s.Exited():
	case <-time.After(patience):
		t.Fatalf("%s does not end", s.name)
	}
	return s.Signal(syscall.SIGKILL)
}

// readyz is the answer of /readyz, 0 while there is none.
func (s *server) readyz() (code int, text string) {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get("http://" + s.Admin + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, s.name+" is ready", func() bool { code, _ := s.readyz(); return code == http.StatusOK })
}

// awaitTurn returns when the server waits for the owner of the database, and
// says so.
func (s *server) awaitTurn(t *testing.T, owner *server) {
	t.Helper()
	text := ""
	eventually(t, s.name+" waits for "+owner.name, func() bool {
		var code int
		code, text = s.readyz()
		return code == http.StatusServiceUnavailable && strings.Contains(text, "metadata: OwnedByAnother: ")
	})
	host, _ := os.Hostname()
	if holder := fmt.Sprintf("is in use by %s/%d;", host, owner.PID()); !strings.Contains(text, holder) {
		t.Errorf("/readyz of %s does not name the owner (%s): %s", s.name, holder, text)
	}
}

func (s *server) dial(t *testing.T) *nfsclient.Client {
	t.Helper()
	c, err := nfsclient.Dial(s.NFS, nfsclient.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
