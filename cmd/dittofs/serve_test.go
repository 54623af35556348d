package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// limit bounds every wait; reaching it is a failure.
const limit = time.Minute

// serving is a running server process.
type serving struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  chan string // lines of standard error
	done chan error
}

func startServe(t *testing.T, file string, environ ...string) *serving {
	t.Helper()
	cmd := command(filepath.Dir(file), environ, "serve", "--config", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{t: t, cmd: cmd, log: make(chan string, 1000), done: make(chan error, 1)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.log <- lines.Text()
		}
		close(s.log)
		s.done <- cmd.Wait()
	}()
	t.Cleanup(func() { cmd.Process.Kill() })
	return s
}

// waitLog returns the next line of the log that has all the words.
func (s *serving) waitLog(words ...string) string {
	s.t.Helper()
	deadline := time.After(limit)
	var before []string
	for {
		select {
		case line, ok := <-s.log:
			if !ok {
				s.t.Fatalf("the server ended without logging %q; it logged\n%s", words, strings.Join(before, "\n"))
			}
			if before = append(before, line); containsAll(line, words) {
				return line
			}
		case <-deadline:
			s.t.Fatalf("no line with %q; there were\n%s", words, strings.Join(before, "\n"))
		}
	}
}

// waitServing returns the address of NFS.
func (s *serving) waitServing() string {
	s.t.Helper()
	line := s.waitLog("msg=serving")
	_, rest, _ := strings.Cut(line, "nfs=")
	addr, _, _ := strings.Cut(rest, " ")
	return addr
}

// wantShares checks which of the paths can be mounted.
func wantShares(t *testing.T, addr string, want map[string]bool) {
	t.Helper()
	c, err := nfsclient.Dial(addr, nfsclient.Options{Timeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for path, there := range want {
		if _, err := c.Mount(path); (err == nil) != there {
			t.Errorf("mount of %s: %v, want it to succeed: %v", path, err, there)
		}
	}
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

func (s *serving) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// exitCode waits for the end of the process.
func (s *serving) exitCode() int {
	s.t.Helper()
	go func() {
		for range s.log {
		}
	}()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		s.t.Fatal("the server does not end")
		return -1
	}
}

// memoryConfig is a configuration that leaves nothing but its journal.
func memoryConfig(t *testing.T, more string) (file string, text string) {
	dir := t.TempDir()
	text = fmt.Sprintf(`cache: {path: %s/cache}
metadata: {type: memory}
content: {type: memory}
nfs: {listen: "127.0.0.1:0"}
admin: {listen: ""}
%s`, dir, more)
	// The file has a directory of its own, as a mounted ConfigMap has.
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "etc", "config.yaml")
	write(t, file, text+"shares: [{name: a}]\n")
	return file, text
}

func TestServeStopsOnSIGTERMWithExitCode0(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		file, _ := memoryConfig(t, "")
		s := startServe(t, file)
		s.waitLog("msg=serving")
		s.signal(sig)
		if code := s.exitCode(); code != 0 {
			t.Errorf("%v: exit code %d", sig, code)
		}
	}
}

func TestSecondSignalEndsTheProcessThoughTheStopGoesOn(t *testing.T) {
	var out bytes.Buffer
	stopping, exited := make(chan struct{}), make(chan int, 1)
	watchSignals(logging.New(&out, config.Logging{Level: "info", Format: "text"}),
		func() { close(stopping) }, func(code int) { exited <- code })
	kill := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	kill()
	<-stopping
	for ended := false; !ended; {
		kill() // until it is taken for a second wish
		select {
		case code := <-exited:
			if ended = true; code != exitRuntime {
				t.Errorf("exit code %d", code)
			}
		case <-time.After(sameWish / 4):
		}
	}
	signal.Reset(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if !strings.Contains(out.String(), "ended before the stop was complete") {
		t.Errorf("the log is %q", out.String())
	}
}

func TestChangedFileIsAppliedWhileServing(t *testing.T) {
	file, text := memoryConfig(t, "")
	s := startServe(t, file)
	addr := s.waitServing()

	replacement := file + ".new"
	write(t, replacement, text+"shares: [{name: a}, {name: b}]\nlogging: {format: json}\n")
	if err := os.Rename(replacement, file); err != nil {
		t.Fatal(err)
	}
	s.waitLog("configuration read", "file changed")
	s.waitLog(`"msg":"configuration applied"`, "shares[b]")
	wantShares(t, addr, map[string]bool{"/a": true, "/b": true})

	write(t, file, text+"shares: [{name: a, squsah: all}]\n") // in place
	s.waitLog("configuration not used", "did you mean shares[0].squash?")
	wantShares(t, addr, map[string]bool{"/a": true, "/b": true})

	write(t, file, text+"shares: [{name: a}]\nshutdown_timeout: 10s\n")
	s.waitLog("configuration applied", "shares[b]")
	wantShares(t, addr, map[string]bool{"/a": true, "/b": false})

	s.signal(syscall.SIGTERM)
	if code := s.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestConfigMapSwapIsAppliedWhileServing(t *testing.T) {
	file, text := memoryConfig(t, "")
	dir := filepath.Dir(file)
	publish := func(version, config string) {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "config.yaml"), config)
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(version, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	publish("..2026_1", text+"shares: [{name: a}]\n")
	if err := os.Symlink("..data/config.yaml", file); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, file)
	addr := s.waitServing()
	publish("..2026_2", text+"shares: [{name: a}, {name: fromconfigmap}]\n")
	s.waitLog("configuration applied", "shares[fromconfigmap]")
	wantShares(t, addr, map[string]bool{"/a": true, "/fromconfigmap": true})
}

// TestSIGHUPAppliesAChangeThatNobodyNoticed writes the file by another name of it: the directory that is watched tells
// nothing.
func TestSIGHUPAppliesAChangeThatNobodyNoticed(t *testing.T) {
	file, text := memoryConfig(t, "")
	other := filepath.Join(t.TempDir(), "other-name")
	if err := os.Link(file, other); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, file, "DITTOFS_LOGGING_LEVEL=info")
	addr := s.waitServing()
	write(t, other, text+"shares: [{name: a}, {name: b}]\n")
	wantShares(t, addr, map[string]bool{"/a": true, "/b": false})
	s.signal(syscall.SIGHUP)
	s.waitLog("configuration read", "SIGHUP")
	s.waitLog("configuration applied", "shares[b]")
	wantShares(t, addr, map[string]bool{"/a": true, "/b": true})
}

func TestPortInUseIsAFaultOfTheConfiguration(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, _ := memoryConfig(t, "")
	got := dittofs(t, t.TempDir(), []string{"DITTOFS_NFS_LISTEN=" + ln.Addr().String()}, "serve", "--config", file)
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(got.stderr), "\n"),
		func(line string) bool { return strings.HasPrefix(line, "time=") })
	if got.code != 2 || len(lines) != 1 || !strings.HasPrefix(lines[0], "nfs.listen: ") {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(filepath.Dir(file)), "cache")); !os.IsNotExist(err) {
		t.Errorf("the cache directory was made: %v", err)
	}
}
