package sunrpc

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// spinTime is how long to wait for the next call without sleeping.
	spinTime = 50 * time.Microsecond
	// pollTime is how long the next call of a client is waited for in poll(2), in milliseconds.
	pollTime = 2
	// onlyAfter is how many reads in a row make a connection the only one.
	onlyAfter = 8
)

// awaiter reads a socket. Where the next bytes will come soon it waits for them in poll(2): the thread that the kernel wakes then
// goes on with the goroutine that wants them. Go's own poller wakes another thread first, to look for more work, and that takes
// longer than to answer a small call. If they came within spinTime last time, it tries to read until that has passed: to wake a
// thread of an idle processor takes as long, in a virtual machine.
//
// A thread in poll keeps one of Go's processors from the other goroutines for a moment, so there is one at most, and none if there
// is only one processor.
type awaiter struct {
	raw syscall.RawConn // nil: not a socket
	try func(fd uintptr) bool
	srv *Server

	p      []byte
	n      int
	err    error
	polled bool
	waited time.Duration // the last time, until there was something
}

func newAwaiter(s *Server, nc net.Conn) *awaiter {
	a := &awaiter{srv: s}
	a.try = a.tryRead
	if tcp, ok := nc.(*net.TCPConn); ok && runtime.GOMAXPROCS(0) > 1 {
		if raw, err := tcp.SyscallConn(); err == nil {
			a.raw = raw
		}
	}
	return a
}

// ready reports whether read may be called. It must be then.
func (a *awaiter) ready() bool { return a.raw != nil && a.srv.polling.CompareAndSwap(false, true) }

// read is Read of the connection.
func (a *awaiter) read(p []byte) (int, error) {
	a.p, a.n, a.err, a.polled = p, 0, nil, false
	err := a.raw.Read(a.try)
	a.p = nil
	if !a.polled { // it did not have to wait, or could not
		a.srv.polling.Store(false)
	}
	switch {
	case err != nil:
		return 0, err
	case a.err != nil:
		return 0, os.NewSyscallError("read", a.err)
	case a.n == 0:
		return 0, io.EOF
	}
	return a.n, nil
}

// tryRead returns false to be called again when there is something to read.
func (a *awaiter) tryRead(fd uintptr) bool {
	if a.readNow(fd) {
		return true
	}
	if a.polled {
		return false
	}
	began := time.Now()
	done := a.waited < spinTime && a.spin(fd, began)
	if !done {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, pollTime) // whatever it says, the read tells more
		done = a.readNow(fd)
	}
	a.waited = time.Since(began)
	a.polled = true
	a.srv.polling.Store(false)
	return done
}

// spin tries to read until spinTime after began.
func (a *awaiter) spin(fd uintptr, began time.Time) bool {
	for time.Since(began) < spinTime {
		if a.readNow(fd) {
			return true
		}
	}
	return false
}

func (a *awaiter) readNow(fd uintptr) bool {
	for {
		a.n, a.err = unix.Read(int(fd), a.p)
		if !errors.Is(a.err, unix.EINTR) {
			return !errors.Is(a.err, unix.EAGAIN)
		}
	}
}
