// Package nfsclient is a raw NFS version 3 and MOUNT client for tests and
// benchmarks: no caching, no retries, no interpretation. Calls can be
// outstanding in any number on one connection, and everything that a reply
// holds is returned, on failures too.
//
//	c, err := nfsclient.Dial("127.0.0.1:2049", nfsclient.Options{})
//	root, err := c.Mount("/export")
//	file, err := c.Create(root, "name", nfsclient.Guarded, nfsclient.SetAttr{}, nil)
//
// It imports package xdr and nothing else of this module: it must not share
// the server's mistakes.
package nfsclient

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
)

// Program numbers.
const (
	ProgramNFS   = 100003
	ProgramMount = 100005
)

// Options of a connection.
type Options struct {
	// UID, GID and Groups are the AUTH_SYS credential.
	UID, GID uint32
	Groups   []uint32
	// AuthNone sends no credential.
	AuthNone bool
	// Local is the IP address to connect from. Default: the kernel's choice.
	Local string
	// Timeout bounds dialing, and the wait for each reply. Default 30 s.
	Timeout time.Duration
	// Buffer is the memory for what a Pipeline receives, in bytes; a reply takes half of it at most. Default 4 MiB.
	Buffer int
}

// maxReply bounds what a reply may make the client allocate.
const maxReply = 4 << 20

// RPCError is a call that the server did not run, or not to its end (RFC 5531
// section 9).
type RPCError struct {
	Denied bool   // MSG_DENIED, else MSG_ACCEPTED
	Stat   uint32 // accept_stat, or reject_stat if denied
	Auth   uint32 // auth_stat of AUTH_ERROR
	Low    uint32 // versions of a mismatch
	High   uint32
}

func (e *RPCError) Error() string {
	if e.Denied {
		return fmt.Sprintf("call denied: reject_stat %d, auth_stat %d, versions %d to %d", e.Stat, e.Auth, e.Low, e.High)
	}
	return fmt.Sprintf("call not served: accept_stat %d, versions %d to %d", e.Stat, e.Low, e.High)
}

// ErrTimeout is a call without a reply in time.
var ErrTimeout = errors.New("no reply in time")

// Client is a connection. Safe for concurrent use.
type Client struct {
	nc      net.Conn
	cred    []byte // credential and verifier, encoded
	timeout time.Duration
	xid     atomic.Uint32

	write sync.Mutex

	mu      sync.Mutex
	pending map[uint32]chan []byte
	err     error // of the connection, once it ended
}

// Dial connects to a server.
func Dial(addr string, opts Options) (*Client, error) {
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	dialer := net.Dialer{Timeout: opts.Timeout}
	if opts.Local != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(opts.Local)}
	}
	nc, err := dialer.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &Client{nc: nc, cred: encodeCred(opts), timeout: opts.Timeout, pending: map[uint32]chan []byte{}}
	c.xid.Store(uint32(time.Now().UnixNano()))
	go c.receive()
	return c, nil
}

func encodeCred(o Options) []byte {
	var e xdr.Encoder
	if o.AuthNone {
		for range 4 {
			e.Uint32(0)
		}
		return e.Bytes()
	}
	var body xdr.Encoder
	body.Uint32(0)
	body.String("nfsclient")
	body.Uint32(o.UID)
	body.Uint32(o.GID)
	body.Uint32(uint32(len(o.Groups)))
	for _, g := range o.Groups {
		body.Uint32(g)
	}
	e.Uint32(1)
	e.Opaque(body.Bytes())
	e.Uint32(0)
	e.Uint32(0)
	return e.Bytes()
}

// Close ends the connection; calls that wait fail.
func (c *Client) Close() error { return c.nc.Close() }

// LocalAddr is the client's side of the connection.
func (c *Client) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// Call makes one call and returns its results.
func (c *Client) Call(prog, vers, proc uint32, args []byte) ([]byte, error) {
	return c.CallXID(c.xid.Add(1), prog, vers, proc, args)
}

// CallXID is Call with a transaction number of the caller's, to send a call
// again as it was.
func (c *Client) CallXID(xid, prog, vers, proc uint32, args []byte) ([]byte, error) {
	reply := make(chan []byte, 1)
	c.mu.Lock()
	if err := c.err; err != nil {
		c.mu.Unlock()
		return nil, err
	}
	c.pending[xid] = reply
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.pending, xid)
		c.mu.Unlock()
	}()
	if err := c.Send(xid, prog, vers, proc, args); err != nil {
		return nil, err
	}
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case b, ok := <-reply:
		if !ok {
			return nil, c.failure()
		}
		return parseReply(b)
	case <-timer.C:
		return nil, ErrTimeout
	}
}

// Send sends a call without waiting for its reply, which will be ignored.
func (c *Client) Send(xid, prog, vers, proc uint32, args []byte) error {
	var e xdr.Encoder
	e.Set(make([]byte, 0, 64+len(c.cred)+len(args)))
	putCall(&e, xid, prog, vers, proc, c.cred, args)
	c.write.Lock()
	defer c.write.Unlock()
	_, err := c.nc.Write(e.Bytes())
	return err
}

// Record is a call as it is sent, with its record mark, for those who write to a socket of their own.
func Record(xid, prog, vers, proc uint32, opts Options, args []byte) []byte {
	var e xdr.Encoder
	putCall(&e, xid, prog, vers, proc, encodeCred(opts), args)
	return e.Bytes()
}

// putCall appends a call with its record mark.
func putCall(e *xdr.Encoder, xid, prog, vers, proc uint32, cred, args []byte) {
	start := e.Len()
	e.Uint32(0)
	for _, v := range []uint32{xid, 0, 2, prog, vers, proc} {
		e.Uint32(v)
	}
	e.Append(cred)
	e.Append(args)
	e.PutUint32(start, 1<<31|uint32(e.Len()-start-4))
}

func (c *Client) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *Client) receive() {
	var err error
	for {
		var rec []byte
		if rec, err = readRecord(c.nc); err != nil {
			break
		}
		if len(rec) < 4 {
			err = errors.New("reply too short")
			break
		}
		xid := binary.BigEndian.Uint32(rec)
		c.mu.Lock()
		ch := c.pending[xid]
		delete(c.pending, xid)
		c.mu.Unlock()
		if ch != nil {
			ch <- rec
		}
	}
	_ = c.nc.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = fmt.Errorf("connection ended: %w", err)
	for xid, ch := range c.pending {
		delete(c.pending, xid)
		close(ch)
	}
}

// readRecord reads one record of any number of fragments.
func readRecord(r io.Reader) ([]byte, error) {
	var rec []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, err
		}
		mark := binary.BigEndian.Uint32(head[:])
		n := int(mark &^ (1 << 31))
		if len(rec)+n > maxReply {
			return nil, fmt.Errorf("reply of %d bytes", len(rec)+n)
		}
		at := len(rec)
		rec = append(rec, make([]byte, n)...)
		if _, err := io.ReadFull(r, rec[at:]); err != nil {
			return nil, err
		}
		if mark>>31 == 1 {
			return rec, nil
		}
	}
}

// parseReply returns the results of a reply, or why there are none.
func parseReply(rec []byte) ([]byte, error) {
	d := xdr.NewDecoder(rec)
	d.Uint32() // xid
	if d.Uint32() != 1 {
		return nil, errors.New("not a reply")
	}
	rerr := &RPCError{Denied: d.Uint32() != 0}
	if !rerr.Denied {
		d.Uint32()
		d.Opaque(400)
	}
	rerr.Stat = d.Uint32()
	switch {
	case d.Err() != nil:
		return nil, d.Err()
	case !rerr.Denied && rerr.Stat == 0:
		return d.Rest(), nil
	case rerr.Denied && rerr.Stat == 1:
		rerr.Auth = d.Uint32()
	case rerr.Denied || rerr.Stat == 2:
		rerr.Low, rerr.High = d.Uint32(), d.Uint32()
	}
	return nil, rerr
}
