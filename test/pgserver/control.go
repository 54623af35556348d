package pgserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Stop ends the server in good order, without waiting for its clients.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// StopImmediately ends it without a checkpoint, as a crash does.
func (s *Server) StopImmediately() error { return s.end(syscall.SIGQUIT) }

func (s *Server) end(signal syscall.Signal) error {
	if err := s.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return s.wait()
}

// Kill is kill -9 of every process of the server, also of one that is paused.
func (s *Server) Kill() error {
	children := s.children()
	err := s.signal(s.process.Process.Pid, syscall.SIGKILL)
	for _, pid := range children {
		err = errors.Join(err, s.signal(pid, syscall.SIGKILL))
	}
	if err != nil {
		return err
	}
	for _, pid := range children {
		for deadline := time.Now().Add(patience); alive(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d of PostgreSQL does not end", pid)
			}
		}
	}
	return s.wait()
}

func (s *Server) wait() error {
	select {
	case <-s.exited:
		return nil
	case <-time.After(patience):
		return errors.New("PostgreSQL does not end")
	}
}

// Pause holds every process of the server where it is: connections stay, and
// nothing answers.
func (s *Server) Pause() error {
	err := s.signal(s.process.Process.Pid, syscall.SIGSTOP) // first, so that it starts no more
	for _, pid := range s.children() {
		err = errors.Join(err, s.signal(pid, syscall.SIGSTOP))
	}
	return err
}

// Resume goes on after Pause.
func (s *Server) Resume() error {
	var err error
	for _, pid := range s.children() {
		err = errors.Join(err, s.signal(pid, syscall.SIGCONT))
	}
	return errors.Join(err, s.signal(s.process.Process.Pid, syscall.SIGCONT))
}

func (s *Server) signal(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// children are the processes that the server has started, by /proc: each of
// them is a process group of its own.
func (s *Server) children() []int {
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var pids []int
	for _, path := range entries {
		if pid, parent, _ := stat(path); parent == s.process.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat reads the ids and the state of a process.
func stat(path string) (pid, parent int, state string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, ""
	}
	end := strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 2 {
		return 0, 0, ""
	}
	pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	parent, _ = strconv.Atoi(fields[1])
	return pid, parent, fields[0]
}

func alive(pid int) bool {
	_, _, state := stat(fmt.Sprintf("/proc/%d/stat", pid))
	return state != "" && state != "Z"
}

var shared struct {
	once   sync.Once
	server *Server
	dir    string
	err    error
}

// Shared is the one server of this test binary, without fsync. Its TestMain
// must be Main.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "pgserver"); shared.err == nil {
			shared.server, shared.err = Launch(shared.dir, Options{})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Main runs the tests and ends the shared server.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has more to do: it returns the exit code.
func Run(m interface{ Run() int }) int {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Kill(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if shared.dir != "" {
		if err := os.RemoveAll(shared.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// Demote makes the server a standby that follows nobody: it answers reads and
// refuses writes, as after a failover to the wrong place.
func (s *Server) Demote() error {
	signal := filepath.Join(s.data(), "standby.signal")
	if err := errors.Join(s.Stop(), os.WriteFile(signal, nil, 0o600), s.give(signal, 0o600)); err != nil {
		return err
	}
	return s.Restart()
}

// Promote makes a standby the primary.
func (s *Server) Promote() error { return s.Exec("SELECT pg_promote()") }
