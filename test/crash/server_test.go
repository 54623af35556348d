package crash

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// server is a dittofs process, started again and again on the same folders.
type server struct {
	binary string
	dir    string
	nfs    string // address
	admin  string // address
	cmd    *exec.Cmd
}

// newServer builds the server and configures it. Nothing is started.
func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{binary: filepath.Join(dir, "dittofs"), dir: dir, nfs: freeAddress(t), admin: freeAddress(t)}
	build := exec.Command("go", "build", "-o", s.binary, "github.com/dittofs/dittofs/cmd/dittofs")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	config := fmt.Sprintf(`
cache:    {path: %[1]s/cache, size: 1GiB}
metadata: {type: pebble, path: %[1]s/metadata}
content:  {type: filesystem, path: %[1]s/content}
nfs:      {listen: %[2]q}
admin:    {listen: %[3]q}
shares:   [{name: export, path: /export, squash: none}]
`, dir, s.nfs, s.admin)
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.signal(syscall.SIGKILL) })
	return s
}

// start returns when the server is ready, and how long that took.
func (s *server) start(t *testing.T) time.Duration {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	began := time.Now()
	s.cmd = exec.Command(s.binary, "serve", "--config", filepath.Join(s.dir, "config.yaml"))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for time.Since(began) < 30*time.Second {
		response, err := http.Get("http://" + s.admin + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return time.Since(began)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not ready after %v; its log:\n%s", time.Since(began), s.log())
	return 0
}

// signal sends a signal, waits for the end of the process and returns its exit code; -1 if it was killed.
func (s *server) signal(sig os.Signal) int {
	if s.cmd == nil {
		return 0
	}
	_ = s.cmd.Process.Signal(sig) // it may be dead already
	_ = s.cmd.Wait()              // an exit code is no error here
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// log returns the end of the server's log.
func (s *server) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
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
