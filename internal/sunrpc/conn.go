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

	"github.com/dittofs/dittofs/internal/netlimit"
	"github.com/dittofs/dittofs/internal/sunrpc/budget"
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
	host    netip.Prefix // of the remote address
	client  *client
	place   *netlimit.Entry // among all connections
	sock    *socket
	self    *Conn // as programs see it
	reader  recordReader
	out     *writer
	account *budget.Account
	closing atomic.Bool
	evicted atomic.Bool
	since   time.Time
	seen    traffic

	batch    *batch    // replies of inline calls, not sent yet; nil if none
	opened   time.Time // when the batch was begun
	inline   Call      // the call that is being served inline
	onTurn   bool      // the reader has a turn of its client
	looked   int       // calls to come that need no lookAhead
	arrived  *[maxAhead]Arrived
	inFlight places // of calls on goroutines
	calls    sync.WaitGroup

	unanswered atomic.Int64 // calls that are being served, apart from inline ones
	single     int          // calls that came alone, in a row, up to aloneAfter
	turns      turns
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, since: time.Now(), inFlight: newPlaces(s.opts.MaxInFlight)}
	if addr, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.remote = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	c.self = newConnOf(c)
	c.host = netlimit.ClientOf(c.remote.Addr())
	c.seen.last.Store(c.since.UnixNano())
	c.account = s.budget.Open(c.host, func() { c.evict(EvictedForBytes) })
	c.sock = newSocket(s, nc)
	c.out = newWriter(nc, c.sock, c.account, s.opts.WriteTimeout, &c.seen.out)
	c.reader = recordReader{
		nc: nc, sock: c.sock, srv: s, account: c.account, seen: &c.seen, closing: &c.closing, flush: c.flush,
		touch: func() { c.place.Touch() },
	}
	c.reader.unread.reader = &c.reader
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
	c.endTurn()
	defer c.srv.forget(c)
	c.self.end()          // no reply is read any more
	c.closing.Store(true) // for the watch
	if !errors.Is(err, ErrServerClosed) {
		c.logEnd(err)
	}
	c.calls.Wait()
	c.reader.close()
	if ferr := c.flush(); ferr == nil && errors.Is(err, ErrServerClosed) {
		c.linger()
	}
	_ = c.nc.Close()
	c.account.Close()
}

func (c *conn) readCalls() error {
	for {
		if c.out.failed.Load() {
			return net.ErrClosed
		}
		if c.out.behind() {
			if err := c.flush(); err != nil {
				return err
			}
		}
		rec, err := c.reader.next()
		if err != nil {
			if c.closing.Load() {
				return ErrServerClosed
			}
			return err
		}
		if !c.takeTurn() {
			c.release(rec.own)
			return net.ErrClosed
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
	case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, budget.ErrEvicted):
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.srv.log.Debug("connection timed out", "client", c.remote, "unfinished_record", !c.reader.partial.IsZero())
	default:
		c.srv.log.Debug("connection ended", "client", c.remote, "error", err)
	}
}

// evict closes the connection for the sake of others. It does not wait, and
// forgets what the client has not taken: the kernel need not keep it either.
func (c *conn) evict(why Eviction) {
	if c.evicted.Swap(true) {
		return
	}
	c.account.Evict()
	c.self.end()
	c.srv.opts.Observer.Evicted(why)
	c.srv.log.Warn("connection closed in favour of others", "client", c.remote.Addr(), "limit", why)
	go func() {
		if tcp, ok := c.nc.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.nc.Close()
	}()
}

// gone asks whether the client has reset the connection, which then ends.
func (c *conn) gone() bool {
	if !c.out.failed.Load() && c.sock.reset() {
		c.out.fail(net.ErrClosed)
	}
	return c.out.failed.Load()
}

// flush ends the reader's turn, sends the replies of inline calls, and waits for
// the client to take them if it leaves too much.
func (c *conn) flush() error {
	c.endTurn()
	c.reader.unread.uncharge()
	if c.batch == nil {
		return c.out.drained(maxQueued)
	}
	b := c.batch
	c.batch = nil
	limit := int64(maxQueued)
	if !c.account.Exchange(b.charge, int64(b.size())) {
		limit = 0
	}
	if err := c.out.send(b, false); err != nil {
		return err
	}
	return c.out.drained(limit)
}

// open returns the batch for the next inline reply.
func (c *conn) open() *batch {
	if c.batch == nil {
		c.batch, c.opened = newBatch(), c.reader.now
	}
	return c.batch
}
