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

	"github.com/dittofs/dittofs/internal/sunrpc/budget"
)

const (
	// spinTime is how long to wait for the next call without sleeping.
	spinTime = 50 * time.Microsecond
	// pollTime is how long the next call of a client is waited for in poll(2), in milliseconds.
	pollTime = 2
	// onlyAfter is how many reads in a row make a connection the only one.
	onlyAfter = 8
	// maxVector is the most pieces that the kernel takes in one write (IOV_MAX).
	maxVector = 1024
)

// source gives the memory into which a socket reads. It is asked only when there may be something to read, and told
// when there was nothing, so that a connection that waits holds no memory for what may come.
type source interface {
	room() []byte
	nothing()
}

// socket reads and writes a connection as the kernel has or takes something.
//
// Where the next bytes will come soon it waits for them in poll(2): the thread that the kernel wakes then goes on with
// the goroutine that wants them. Go's own poller wakes another thread first, to look for more work, and that takes
// longer than to answer a small call. If they came within spinTime last time, it tries to read until that has passed:
// to wake a thread of an idle processor takes as long, in a virtual machine.
//
// A thread in poll keeps one of Go's processors from the other goroutines for a moment, so there is one at most, and
// none if there is only one processor.
type socket struct {
	nc   net.Conn
	raw  syscall.RawConn // nil: not a socket of the kernel
	srv  *Server
	many bool // processors

	// Of the one who reads.
	tryRead, tryAwait func(fd uintptr) bool
	from              source
	n                 int
	err               error
	polled            bool
	waited            time.Duration // the last time in poll, until there was something

	// Of the one who writes.
	tryWrite func(fd uintptr) bool
	rest     [][]byte
	stall    *budget.Stall
	werr     error
}

func newSocket(s *Server, nc net.Conn) *socket {
	k := &socket{nc: nc, srv: s, many: runtime.GOMAXPROCS(0) > 1}
	k.tryRead, k.tryAwait, k.tryWrite = k.readNow, k.awaitNow, k.writeNow
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			k.raw = raw
		}
	}
	return k
}

// read reads what there is into the memory of from, and waits for the first byte.
func (k *socket) read(from source) (int, error) {
	if k.raw == nil {
		from.nothing() // as far as can be known
		return k.nc.Read(from.room())
	}
	k.from = from
	err := k.raw.Read(k.tryRead)
	return k.result(err)
}

// mayAwait reports whether await may be called. It must be then.
func (k *socket) mayAwait() bool {
	return k.many && k.raw != nil && k.srv.polling.CompareAndSwap(false, true)
}

// await is read for bytes that are expected soon.
func (k *socket) await(from source) (int, error) {
	k.from, k.polled = from, false
	err := k.raw.Read(k.tryAwait)
	if !k.polled { // it did not have to wait, or could not
		k.srv.polling.Store(false)
	}
	return k.result(err)
}

func (k *socket) result(err error) (int, error) {
	k.from = nil
	n, rerr := k.n, k.err
	k.n, k.err = 0, nil
	switch {
	case err != nil:
		return 0, err
	case rerr != nil:
		return 0, os.NewSyscallError("read", rerr)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// readNow returns false to be called again when there is something to read.
func (k *socket) readNow(fd uintptr) bool {
	for {
		k.n, k.err = unix.Read(int(fd), k.from.room())
		switch {
		case errors.Is(k.err, unix.EINTR):
		case errors.Is(k.err, unix.EAGAIN):
			k.n, k.err = 0, nil
			k.from.nothing()
			return false
		default:
			k.n = max(k.n, 0)
			return true
		}
	}
}

func (k *socket) awaitNow(fd uintptr) bool {
	if k.readNow(fd) {
		return true
	}
	if k.polled {
		return false
	}
	began := time.Now()
	done := k.waited < spinTime && k.spin(fd, began)
	if !done {
		// whatever it says, the read tells more
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, pollTime)
		done = k.readNow(fd)
	}
	k.waited = time.Since(began)
	k.polled = true
	k.srv.polling.Store(false)
	return done
}

// spin tries to read until spinTime after began.
func (k *socket) spin(fd uintptr, began time.Time) bool {
	for time.Since(began) < spinTime {
		if k.readNow(fd) {
			return true
		}
	}
	return false
}

// write sends the pieces in order. It tells stall while it waits for the client to take them. It changes the vector.
func (k *socket) write(vector [][]byte, stall *budget.Stall) error {
	if k.raw == nil {
		stall.Begin()
		defer stall.End()
		rest := net.Buffers(vector)
		_, err := rest.WriteTo(k.nc)
		return err
	}
	k.rest, k.stall = vector, stall
	err := k.raw.Write(k.tryWrite)
	stall.End()
	werr := k.werr
	k.rest, k.stall, k.werr = nil, nil, nil
	if err == nil && werr != nil {
		err = os.NewSyscallError("write", werr)
	}
	return err
}

// writeNow returns false to be called again when the kernel takes more.
func (k *socket) writeNow(fd uintptr) bool {
	for len(k.rest) > 0 {
		n, err := writeSome(int(fd), k.rest)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			k.stall.Begin()
			return false
		case err != nil:
			k.werr = err
			return true
		default:
			k.stall.Moved(n)
			k.rest = cut(k.rest, n)
		}
	}
	return true
}

func writeSome(fd int, vector [][]byte) (int, error) {
	if len(vector) == 1 {
		return unix.Write(fd, vector[0])
	}
	return unix.Writev(fd, vector[:min(len(vector), maxVector)])
}

// cut takes n bytes off the front of the vector.
func cut(vector [][]byte, n int) [][]byte {
	for len(vector) > 0 && n >= len(vector[0]) {
		n -= len(vector[0])
		vector = vector[1:]
	}
	if n > 0 {
		vector[0] = vector[0][n:]
	}
	return vector
}

// reset reports whether the client has reset the connection. One that has only
// ended its side still takes replies.
func (k *socket) reset() bool {
	if k.raw == nil {
		return false
	}
	gone := false
	err := k.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n > 0 && p[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	return gone || err != nil // closed by ourselves
}

// maxUnsent is how much the kernel takes of replies before it has sent what it
// took before: else it would hold megabytes for each client that takes nothing.
const maxUnsent = 128 << 10

// boundUnsent sets TCP_NOTSENT_LOWAT (tcp(7)).
func boundUnsent(tcp *net.TCPConn) error {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
	return errors.Join(err, os.NewSyscallError("setsockopt", serr))
}
