package takeover

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/pgserver"
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
	dir := t.TempDir()
	w := &world{binary: filepath.Join(dir, "dittofs"), dsnFile: filepath.Join(dir, "dsn"), postgres: pgserver.Shared(t), s3: s3server.Start(t, s3server.Options{})}
	w.database, w.bucket, w.keyFile = w.postgres.NewDatabase(t), w.s3.Bucket(t), w.s3.Credentials(t)
	if err := os.WriteFile(w.dsnFile, []byte(w.postgres.DSN(w.database)), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", w.binary, "github.com/dittofs/dittofs/cmd/dittofs")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return w
}

// server is a dittofs with a cache of its own, started again and again.
type server struct {
	world      *world
	name       string
	dir        string
	nfs, admin string // addresses
	cmd        *exec.Cmd
	exited     chan struct{}
}

func (w *world) server(t *testing.T, name string) *server {
	t.Helper()
	s := &server{world: w, name: name, dir: t.TempDir(), nfs: freeAddress(t), admin: freeAddress(t)}
	config := fmt.Sprintf(`
cache:      {path: %s/cache, size: 256MiB, flush_interval: 500ms}
metadata:   {type: postgres, dsn_file: %s, owner_lease: %s}
content:    {type: s3, bucket: %s, endpoint: %q, region: %s, credentials_file: %s, addressing: path}
durability: remote
nfs:        {listen: %q}
admin:      {listen: %q}
shares:     [{name: export, path: /export, squash: none}]
`, s.dir, w.dsnFile, lease, w.bucket, w.s3.Endpoint, w.s3.Region, w.keyFile, s.nfs, s.admin)
	if err := os.WriteFile(filepath.Join(s.dir, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.signal(t, syscall.SIGKILL)
			<-s.exited
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.name, s.log())
		}
	})
	return s
}

// spawn starts the process and waits for nothing.
func (s *server) spawn(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd, exited := exec.Command(s.world.binary, "serve", "--config", filepath.Join(s.dir, "config.yaml")), make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.cmd, s.exited = cmd, exited
	go func() {
		_ = cmd.Wait() // an exit code is no error here
		close(exited)
	}()
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// exit waits for the end of the process and returns its exit code; -1 if it was
// killed.
func (s *server) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Fatalf("%s does not end", s.name)
	}
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// readyz is the answer of /readyz, 0 while there is none.
func (s *server) readyz() (code int, text string) {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get("http://" + s.admin + "/readyz")
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
	if holder := fmt.Sprintf("is in use by %s/%d;", host, owner.cmd.Process.Pid); !strings.Contains(text, holder) {
		t.Errorf("/readyz of %s does not name the owner (%s): %s", s.name, holder, text)
	}
}

// log returns the end of the server's log.
func (s *server) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-6000):])
}

func (s *server) dial(t *testing.T) *nfsclient.Client {
	t.Helper()
	c, err := nfsclient.Dial(s.nfs, nfsclient.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
