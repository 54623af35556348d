package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// logged is a server whose log is a pipe that the test may stop reading.
type logged struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *os.File
	lines *bufio.Scanner
	ended chan struct{}
	nfs   string
	admin string
}

func startLogged(t *testing.T, environ ...string) *logged {
	t.Helper()
	file, _ := memoryConfig(t, "shutdown_timeout: 5s\n")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := ln.Addr().String()
	ln.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	s := &logged{t: t, log: r, lines: bufio.NewScanner(r), ended: make(chan struct{}), admin: admin}
	s.cmd = command(filepath.Dir(file), append(environ, "DITTOFS_ADMIN_LISTEN="+admin), "serve", "--config", file)
	s.cmd.Stderr = w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		r.Close()
		s.cmd.Process.Kill()
		<-s.ended
	})
	for s.nfs == "" && s.lines.Scan() {
		if found := regexp.MustCompile(`msg=serving nfs=(\S+)`).FindStringSubmatch(s.lines.Text()); found != nil {
			s.nfs = found[1]
		}
	}
	if s.nfs == "" {
		t.Fatal("the server does not serve")
	}
	return s
}

func (s *logged) dial() *nfsclient.Client {
	s.t.Helper()
	c, err := nfsclient.Dial(s.nfs, nfsclient.Options{Timeout: limit})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// refuseMounts asks for mounts that are refused, each with a long line.
func (s *logged) refuseMounts(n int) {
	s.t.Helper()
	c := s.dial()
	for i := range n {
		if _, err := c.Mount(fmt.Sprintf("/nosuch/%0900d", i)); err == nil {
			s.t.Fatal("a mount of nothing succeeds")
		} else if _, refused := err.(nfsclient.Status); !refused {
			s.t.Fatalf("refused mount %d: %v", i, err)
		}
	}
}

// serves mounts a share.
func (s *logged) serves() {
	s.t.Helper()
	if _, err := s.dial().Mount("/a"); err != nil {
		s.t.Errorf("a mount: %v", err)
	}
}

func (s *logged) metric(name string) float64 {
	s.t.Helper()
	resp, err := (&http.Client{Timeout: limit}).Get("http://" + s.admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		s.t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// stops ends the server by SIGTERM, with exit code 0 in the time of
// shutdown_timeout and what a busy machine takes.
func (s *logged) stops() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(limit):
		s.t.Fatal("the server does not end")
	}
	if status := s.cmd.ProcessState; status.ExitCode() != 0 {
		s.t.Errorf("the server ended with %v", status)
	}
}

func TestAServerOutlivesTheReaderOfItsLog(t *testing.T) {
	s := startLogged(t)
	s.log.Close()
	s.refuseMounts(10)
	s.serves()
	if n := s.metric("dittofs_log_dropped_lines_total"); n < 10 {
		t.Errorf("%v lines are counted as dropped", n)
	}
	s.stops()
}

func TestALogThatNobodyReadsHoldsNothingUp(t *testing.T) {
	s := startLogged(t)
	s.refuseMounts(50) // the pipe is full by the fifth
	s.serves()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.serves()
	s.stops()
}

func TestAStartDoesNotWaitForItsLog(t *testing.T) {
	file, text := memoryConfig(t, "")
	many := strings.Repeat(", {cidr: 10.1.0.0/16}", 200) // each is a warning
	write(t, file, text+"shares: [{name: a, clients: [{cidr: 10.0.0.0/8}"+many+"]}]\n")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	cmd := command(filepath.Dir(file), nil, "serve", "--config", file)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if dittofs(t, filepath.Dir(file), nil, "status", "--config", file).code == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a server whose log nobody reads does not start")
		}
	}
}

func TestRefusedMountsCannotFillTheLog(t *testing.T) {
	s := startLogged(t)
	lines := make(chan string, 100_000)
	go func() {
		defer close(lines)
		for s.lines.Scan() {
			lines <- s.lines.Text()
		}
	}()
	const tries = 2000
	s.refuseMounts(tries)
	left := s.metric("dittofs_log_left_out_lines_total")
	s.stops()
	refused, told := 0, ""
	for line := range lines {
		if strings.Contains(line, "mount refused") && strings.Contains(line, "path=") {
			refused++
		}
		if strings.Contains(line, "repeated lines were left out") {
			told = line
		}
	}
	if refused > 100 || refused == 0 || left < tries-100 || !strings.Contains(told, "most_of=127.0.0.1") {
		t.Errorf("%d lines of %d refused mounts; %v were left out: %s", refused, tries, left, told)
	}
}
