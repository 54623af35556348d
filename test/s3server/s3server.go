// Package s3server runs a real S3 server, versitygw, for tests: on loopback,
// over a directory, as a process that can be killed and started again.
//
//	srv := s3server.Start(t)
//	store, err := s3.Open(s3.Options{Bucket: srv.Bucket(t), Endpoint: srv.Endpoint, …})
package s3server

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Options of a server. The zero value is a plain HTTP server of us-east-1.
type Options struct {
	Region            string // default us-east-1
	CertFile, KeyFile string // serve TLS
	VirtualDomain     string // buckets are also sub-domains of this
	Port              int    // 0 takes a free one
}

// Server is one process of versitygw and its directory.
type Server struct {
	Endpoint             string // URL
	AccessKey, SecretKey string
	Region               string

	opts    Options
	dir     string
	address string
	binary  string

	mu     sync.Mutex
	run    *running
	output bytes.Buffer // of the process now running
	count  atomic.Int64 // of buckets
}

type running struct {
	pid  int
	done chan struct{}
}

// startTimeout bounds a start; it takes a second on an idle machine.
const startTimeout = 60 * time.Second

// Start runs a server for the time of the test.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s, err := Launch(t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

var shared struct {
	sync.Mutex
	dir    string // set by Main
	server *Server
}

// Main is the TestMain of a package whose tests use Shared: it removes what
// that leaves.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has more to do: it returns the exit code.
func Run(m interface{ Run() int }) int {
	dir, err := os.MkdirTemp("", "dittofs-s3server-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared.dir = dir
	defer func() {
		if shared.server != nil {
			shared.server.Stop()
		}
	}()
	return m.Run()
}

// Shared is the one server of this test binary, started when first asked for.
// Each test takes a bucket of its own.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.dir == "" {
		t.Fatal("s3server.Shared needs s3server.Main as TestMain")
	}
	if shared.server == nil {
		server, err := Launch(shared.dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		shared.server = server
	}
	return shared.server
}

// Launch starts a server over dir, which keeps what was stored there before.
func Launch(dir string, opts Options) (*Server, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	if opts.Region == "" {
		opts.Region = "us-east-1"
	}
	s := &Server{
		AccessKey: "DITTOFSTEST", SecretKey: "dittofs-test-secret", Region: opts.Region, opts: opts, dir: dir, binary: binary,
	}
	// Another process can take a free port before the server has it.
	for range 5 {
		if err = s.choosePort(); err == nil {
			err = s.Resume()
		}
		if err == nil || opts.Port != 0 {
			break
		}
	}
	return s, err
}

func (s *Server) choosePort() error {
	port := s.opts.Port
	if port == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	s.address = fmt.Sprintf("127.0.0.1:%d", port)
	scheme := "http"
	if s.opts.CertFile != "" {
		scheme = "https"
	}
	s.Endpoint = scheme + "://" + s.address
	return nil
}

// Bucket makes an empty bucket.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.count.Add(1))
	if err := s.MakeBucket(name); err != nil {
		t.Fatal(err)
	}
	return name
}

// MakeBucket makes a bucket, if there is none of that name: a directory is one.
func (s *Server) MakeBucket(name string) error {
	return os.MkdirAll(s.BucketDir(name), 0o755)
}

// BucketDir is the directory of a bucket. An object is a file in it, at its
// key: tests damage it there.
func (s *Server) BucketDir(name string) string { return filepath.Join(s.dir, "buckets", name) }

// Credentials writes a file in the format of ~/.aws/credentials and returns
// its path.
func (s *Server) Credentials(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.AccessKey, s.SecretKey)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Stop kills the server with SIGKILL.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return
	}
	_ = syscall.Kill(s.run.pid, syscall.SIGKILL) // it may have died by itself
	<-s.run.done
	s.run = nil
}

// Pause holds the server where it is: connections stay, and nothing answers.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Continue goes on after Pause.
func (s *Server) Continue() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return errors.New("the S3 server does not run")
	}
	return syscall.Kill(s.run.pid, sig)
}

// Resume starts the server again on the same port and directory.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil {
		return errors.New("the S3 server runs already")
	}
	args, err := s.arguments()
	if err != nil {
		return err
	}
	s.output.Reset()
	cmd := exec.Command(s.binary, args...)
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	run := &running{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel kills the server with the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			run.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed, or its output says why it ended
			close(run.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start the S3 server: %w", err)
	}
	if err := s.answers(run); err != nil {
		_ = syscall.Kill(run.pid, syscall.SIGKILL)
		<-run.done
		return fmt.Errorf("the S3 server at %s does not start: %w\n%s", s.address, err, s.output.String())
	}
	s.run = run
	return nil
}

func (s *Server) arguments() ([]string, error) {
	for _, dir := range []string{"buckets", "metadata"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	buckets := filepath.Join(s.dir, "buckets")
	args := []string{"--port", s.address, "--access", s.AccessKey, "--secret", s.SecretKey, "--region", s.Region,
		"--keep-alive", "--quiet", "--health", "/healthz"}
	if s.opts.CertFile != "" {
		args = append(args, "--cert", s.opts.CertFile, "--key", s.opts.KeyFile)
	}
	if s.opts.VirtualDomain != "" {
		args = append(args, "--virtual-domain", s.opts.VirtualDomain)
	}
	args = append(args, "posix")
	if err := unix.Setxattr(buckets, "user.dittofs-test", []byte("1"), 0); err != nil {
		args = append(args, "--sidecar", filepath.Join(s.dir, "metadata")) // no extended attributes here
	}
	return append(args, buckets), nil
}

// answers waits until the server does.
func (s *Server) answers(run *running) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(startTimeout)
	for {
		var resp *http.Response
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			err = conn.Close()
		}
		if err == nil && s.opts.CertFile == "" {
			if resp, err = client.Get(s.Endpoint + "/healthz"); err == nil {
				err = resp.Body.Close()
			}
		}
		if err == nil {
			return nil
		}
		select {
		case <-run.done:
			return errors.New("it ended")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// Binary is the path of versitygw in the version of hack/tools.env, which is
// built first if it is not there.
func Binary() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(root, "hack", "stores.sh"), "s3")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("the S3 server for tests cannot be installed with hack/stores.sh s3 (it needs the Go module "+
			"proxy): %w\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// repository is the folder above the working directory that has go.mod.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "hack", "stores.sh")); missing == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("hack/stores.sh is in no folder above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
