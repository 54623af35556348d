package sunrpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/xdr"
)

const (
	// maxCallbacks bounds the calls to one client that wait for its reply.
	maxCallbacks = 16
	// maxCallback bounds the bytes of a call to a client, and of its reply.
	maxCallback = 64 << 10
)

// Errors of Conn.Call, matched with errors.Is.
var (
	// ErrConnClosed tells that the connection has ended.
	ErrConnClosed = errors.New("the client's connection has ended")
	// ErrCallbacks tells that too many calls wait for the client's reply.
	ErrCallbacks = errors.New("too many calls wait for the client")
	// ErrCallback tells that the client did not execute the call.
	ErrCallback = errors.New("the client refused the call")
)

var connIDs atomic.Uint64

// Conn is the connection on which a call came, as long as it lasts. Programs may
// bind state to it, and call its client over it (RFC 8881 section 2.10.3.1). Safe
// for concurrent use.
type Conn struct {
	id   uint64
	c    *conn
	done chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	ended   bool
	xid     uint32
	pending map[uint32]chan<- []byte // by xid; a nil channel is of one who waits no longer
}

func newConnOf(c *conn) *Conn {
	return &Conn{id: connIDs.Add(1), c: c, done: make(chan struct{})}
}

// ID is a number that no other connection of this process has, ever.
func (k *Conn) ID() uint64 { return k.id }

// Remote is the client's address.
func (k *Conn) Remote() netip.AddrPort { return k.c.remote }

// Done is closed when the connection has ended.
func (k *Conn) Done() <-chan struct{} { return k.done }

// Call calls a procedure of the client with the credential AUTH_NONE, and returns
// its results. args and results are of 64 KiB at most. The handler of an Inline
// procedure must not call: it would wait for itself. Others give ctx a deadline,
// since a client may leave its replies behind calls that wait for their places.
func (k *Conn) Call(ctx context.Context, program, version, proc uint32, args []byte) (results []byte, err error) {
	if len(args) > maxCallback {
		return nil, fmt.Errorf("a call of %d bytes to a client, at most %d", len(args), maxCallback)
	}
	reply := make(chan []byte, 1)
	xid, err := k.expect(reply)
	if err != nil {
		return nil, err
	}
	b := newBatch()
	b.begin()
	putCall(&b.enc, xid, program, version, proc, args)
	b.end()
	if err := k.c.account.Acquire(ctx, int64(b.size())); err != nil {
		b.free()
		k.forget(xid)
		return nil, err
	}
	if err := k.c.out.send(b, false); err != nil {
		k.forget(xid)
		return nil, fmt.Errorf("%w: %w", ErrConnClosed, err)
	}
	select {
	case body := <-reply:
		return parseReply(body)
	case <-ctx.Done():
		k.forsake(xid)
		return nil, ctx.Err()
	case <-k.done:
		return nil, ErrConnClosed
	}
}

// expect gives a call its number.
func (k *Conn) expect(reply chan<- []byte) (xid uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.ended:
		return 0, ErrConnClosed
	case len(k.pending) >= maxCallbacks:
		return 0, ErrCallbacks
	case k.pending == nil:
		k.pending = map[uint32]chan<- []byte{}
	}
	k.xid++
	k.pending[k.xid] = reply
	return k.xid, nil
}

// forget takes back a call that was not sent.
func (k *Conn) forget(xid uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pending, xid)
}

// forsake leaves a call to itself: its reply may still come, and counts until then.
func (k *Conn) forsake(xid uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.pending[xid]; ok {
		k.pending[xid] = nil
	}
}

// deliver gives a reply to whoever waits for it. A reply to no call is an error:
// the peer does not speak RPC.
func (k *Conn) deliver(xid uint32, body []byte) error {
	k.mu.Lock()
	reply, ok := k.pending[xid]
	delete(k.pending, xid)
	k.mu.Unlock()
	switch {
	case !ok:
		return errNotACall
	case len(body) > maxCallback:
		return fmt.Errorf("a reply of %d bytes, at most %d: %w", len(body), maxCallback, net.ErrClosed)
	case reply != nil:
		reply <- append([]byte(nil), body...)
	}
	return nil
}

// end tells everybody that the connection has ended.
func (k *Conn) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended {
		k.ended = true
		close(k.done)
	}
}

// putCall encodes a call (RFC 5531 section 9) with its record mark to be filled in.
func putCall(e *xdr.Encoder, xid, program, version, proc uint32, args []byte) {
	e.Uint32(0) // record mark
	e.Uint32(xid)
	e.Uint32(msgCall)
	e.Uint32(rpcVersion)
	e.Uint32(program)
	e.Uint32(version)
	e.Uint32(proc)
	for range 2 { // credential and verifier
		e.Uint32(AuthNone)
		e.Uint32(0)
	}
	e.Append(args)
}

// parseReply returns the results of a reply, whose xid and type were read.
func parseReply(body []byte) ([]byte, error) {
	d := xdr.NewDecoder(body)
	if d.Uint32() != msgAccepted {
		return nil, fmt.Errorf("%w: denied", ErrCallback)
	}
	d.Uint32() // verifier
	d.Opaque(maxAuthBody)
	stat := AcceptStat(d.Uint32())
	switch {
	case d.Err() != nil:
		return nil, fmt.Errorf("%w: its reply is cut off", ErrCallback)
	case stat != Success:
		return nil, fmt.Errorf("%w: accept_stat %d", ErrCallback, stat)
	}
	return d.Rest(), nil
}

// replyOf says whether a record is a reply, to which call, and what follows.
func replyOf(b []byte) (xid uint32, body []byte, ok bool) {
	d := xdr.NewDecoder(b)
	xid = d.Uint32()
	ok = d.Uint32() == msgReply && d.Err() == nil
	return xid, d.Rest(), ok
}
