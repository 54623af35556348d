package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// startLimit is how long a server may take from its start to the first connection, when nothing is out of order.
const startLimit = 60 * time.Second

// starts is how often the server was started and took connections, and how it ended.
type starts struct {
	mu       sync.Mutex
	count    int
	changed  chan struct{} // closed when count changes
	expected bool          // the next end of the process is our doing
	byItself []string      // why a process ended by itself
	slowest  time.Duration
}

// current is the number of the server that takes connections, and a channel that is closed when another does.
func (s *starts) current() (int, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.count, s.changed
}

func (s *starts) another(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.slowest = max(s.slowest, took)
	if s.changed != nil {
		close(s.changed)
	}
	s.changed = make(chan struct{})
}

func (s *starts) expect(end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = end
}

// end notes that a process has ended.
func (s *starts) end(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.expected {
		s.byItself = append(s.byItself, why)
	}
	s.expected = false
}

// supervise keeps the server running, as systemd or Kubernetes does, until the world stops.
func (w *world) supervise() error {
	for !w.stopping.Load() {
		began := time.Now()
		if err := w.server.Launch(); err != nil {
			return err
		}
		if w.takesConnections() {
			w.starts.another(time.Since(began))
			<-w.server.Exited()
		} else {
			time.Sleep(200 * time.Millisecond)
		}
		w.starts.end(fmt.Sprintf("exit code %d; its log ends:\n%s", w.server.Signal(syscall.SIGKILL), w.server.Log()))
		if w.lost.Swap(false) {
			if err := os.RemoveAll(w.cache()); err != nil {
				return err
			}
		}
	}
	return nil
}

// takesConnections waits for that; false if the process ends before.
func (w *world) takesConnections() bool {
	for {
		select {
		case <-w.server.Exited():
			return false
		case <-time.After(20 * time.Millisecond):
		}
		conn, err := net.DialTimeout("tcp", w.server.NFS, time.Second)
		if err == nil {
			_ = conn.Close()
			return true
		}
	}
}

// end ends the server by a signal; it is started again.
func (w *world) end(sig syscall.Signal) {
	w.starts.expect(true)
	w.server.Signal(sig)
}

// awaitStart waits until another server than number takes connections.
func (w *world) awaitStart(number int) error {
	for deadline := time.After(startLimit); ; {
		count, changed := w.starts.current()
		if count > number {
			return nil
		}
		select {
		case <-changed:
		case <-deadline:
			return fmt.Errorf("the server does not come back within %v; its log ends:\n%s", startLimit, w.server.Log())
		}
	}
}

// healthy waits until the server says that it is ready.
func (w *world) healthy() error {
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if w.server.Ready() {
			return nil
		}
	}
	return errors.New("the server is not ready " + startLimit.String() +
		" after everything was given back; its log ends:\n" + w.server.Log())
}
