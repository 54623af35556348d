package sunrpc

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lingerTimeout is how long a stopped connection waits for the client to take
// its last replies and close its side.
const lingerTimeout = time.Second

// conn is one client connection. Its serve goroutine reads calls, and serves
// those that cannot wait.
type conn struct {
	srv     *Server
	nc      net.Conn
	remote  netip.AddrPort
	reader  recordReader
	out     *writer
	closing atomic.Bool
	since   time.Time
	seen    traffic

	batch    *batch    // replies of inline calls, not sent yet; nil if none
	opened   time.Time // when the batch was begun
	inline   Call      // the call that is being served inline
	looked   int       // calls to come that need no lookAhead
	arrived  *[maxAhead]Arrived
	inFlight chan struct{} // one element for each call on a goroutine
	calls    sync.WaitGroup

	unanswered atomic.Int64  // calls that are being served, apart from inline ones
	single     int           // calls that came alone, in a row, up to aloneAfter
	turn       atomic.Uint64 // odd while the reader serves a call; whoever makes it even reads on
	watched    atomic.Bool
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, since: time.Now(), inFlight: make(chan struct{}, s.opts.MaxInFlight)}
	if addr, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.remote = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	c.seen.last.Store(c.since.UnixNano())
	c.out = newWriter(nc, s.opts.WriteTimeout, &c.seen.out)
	c.reader = recordReader{nc: nc, await: newAwaiter(s, nc), srv: s, seen: &c.seen, closing: &c.closing, flush: c.flush, buf: make([]byte, readBuffer)}
	return c
}

// serve reads and serves calls until the connection ends or is stopped, then
// waits for those in flight. It returns early when another goroutine has taken
// that over.
func (c *conn) serve() {
	err := c.readCalls()
	if errors.Is(err, errTakenOver) {
		return
	}
	defer c.srv.forget(c)
	c.closing.Store(true) // for the watch
	if !errors.Is(err, ErrServerClosed) {
		c.logEnd(err)
	}
	c.calls.Wait()
	if ferr := c.flush(); ferr == nil && errors.Is(err, ErrServerClosed) {
		c.linger()
	}
	_ = c.nc.Close()
}

func (c *conn) readCalls() error {
	for {
		if c.out.failed.Load() {
			return net.ErrClosed
		}
		rec, err := c.reader.next()
		if err != nil {
			if c.closing.Load() {
				return ErrServerClosed
			}
			return err
		}
		if c.looked--; c.looked < 0 {
			c.looked = c.lookAhead(rec.b)
		}
		if err := c.handle(rec); err != nil {
			return err
		}
	}
}

// stop makes serve end after the call that it is at.
func (c *conn) stop() {
	c.closing.Store(true)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a closed connection ends by itself
}

// linger sends FIN and reads what the client had already sent: closing a
// socket with unread data resets the connection, and the client could lose
// replies that it has not read.
func (c *conn) linger() {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok || tcp.CloseWrite() != nil || tcp.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, tcp) // until FIN or the deadline
}

// logEnd reports why a connection ended. Clients come and go, and probes
// connect and say nothing: none of it is worth more than debugging.
func (c *conn) logEnd(err error) {
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.srv.log.Debug("connection timed out", "client", c.remote, "unfinished_record", !c.reader.partial.IsZero())
	default:
		c.srv.log.Debug("connection ended", "client", c.remote, "error", err)
	}
}

// flush sends the replies of inline calls.
func (c *conn) flush() error {
	if c.batch == nil {
		return nil
	}
	b := c.batch
	c.batch = nil
	return c.out.send(b, false)
}

// open returns the batch for the next inline reply.
func (c *conn) open() *batch {
	if c.batch == nil {
		c.batch, c.opened = newBatch(), c.reader.now
	}
	return c.batch
}
