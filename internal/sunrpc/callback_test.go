package sunrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/xdr"
)

const (
	callbackProgram = 0x20000002
	procBack        = 0 // calls the client's procedure 1 with its argument, and returns the results
	procConn        = 1 // returns the connection's number
	procSometimes   = 2 // inline; waits for nothing if its argument is 0
)

// callbacks is a program that calls its client.
type callbacks struct {
	runs    atomic.Int32 // of procSometimes
	conns   chan *sunrpc.Conn
	results chan error
	timeout time.Duration
}

func (p *callbacks) procs() []sunrpc.Proc {
	return []sunrpc.Proc{
		procBack: {Name: "BACK", Class: sunrpc.Blocking, Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
			ctx, cancel := context.WithTimeout(c.Context, p.timeout)
			defer cancel()
			res, err := c.Conn.Call(ctx, 7, 8, 1, c.Args.Rest())
			p.results <- err
			if err != nil {
				return sunrpc.SystemErr
			}
			c.Reply.Append(res)
			return sunrpc.Success
		}},
		procConn: {Name: "CONN", Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
			c.Reply.Uint32(uint32(c.Conn.ID()))
			select {
			case p.conns <- c.Conn:
			default:
			}
			return sunrpc.Success
		}},
		procSometimes: {
			Name:  "SOMETIMES",
			Waits: func(args []byte) bool { d := xdr.NewDecoder(args); return d.Uint32() != 0 },
			Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
				p.runs.Add(1)
				c.Reply.Bool(c.MayBlock)
				return sunrpc.Success
			},
		},
	}
}

// peer is a client that can be called: a connection of records.
type peer struct {
	t    *testing.T
	conn net.Conn
}

func startCallbacks(t *testing.T, p *callbacks) (dial func() peer) {
	t.Helper()
	p.conns, p.results = make(chan *sunrpc.Conn, 1), make(chan error, 100)
	if p.timeout == 0 {
		p.timeout = 20 * time.Second
	}
	srv, err := sunrpc.NewServer(sunrpc.Options{Programs: []sunrpc.Program{
		{Number: callbackProgram, Name: "callbacks", Versions: []sunrpc.Version{{Number: 1, Procs: p.procs()}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
	})
	return func() peer {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		return peer{t, conn}
	}
}

func (p peer) send(rec []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(marked(rec)); err != nil {
		p.t.Fatal(err)
	}
}

func (p peer) call(xid, proc uint32, args []byte) {
	p.t.Helper()
	p.send(append(words(xid, 0, 2, callbackProgram, 1, proc, 0, 0, 0, 0), args...))
}

// record is the next record of the server.
func (p peer) record() ([]byte, error) {
	var mark [4]byte
	if _, err := io.ReadFull(p.conn, mark[:]); err != nil {
		return nil, err
	}
	d := xdr.NewDecoder(mark[:])
	b := make([]byte, d.Uint32()&^(1<<31))
	_, err := io.ReadFull(p.conn, b)
	return b, err
}

func (p peer) next() []byte {
	p.t.Helper()
	b, err := p.record()
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// accepted is a reply with results, without its mark.
func accepted(xid uint32, results []byte) []byte {
	return append(words(xid, 1, 0, 0, 0, 0), results...)
}

// called is the server's call, of which it returns the number and the arguments.
func (p peer) called() (xid uint32, args []byte) {
	p.t.Helper()
	b := p.next()
	d := xdr.NewDecoder(b)
	xid = d.Uint32()
	if want := words(0, 2, 7, 8, 1, 0, 0, 0, 0); !bytes.Equal(b[4:4+len(want)], want) {
		p.t.Fatalf("the server's call is %x", b)
	}
	return xid, b[40:]
}

func TestACallGoesBothWaysOverOneConnection(t *testing.T) {
	dial := startCallbacks(t, &callbacks{})
	p, other := dial(), dial()
	p.call(1, procBack, words(42))
	xid, args := p.called()
	if !bytes.Equal(args, words(42)) {
		t.Errorf("the client was called with %x", args)
	}
	p.call(2, procConn, nil) // goes on meanwhile
	first := p.next()
	p.send(accepted(xid, words(43)))
	if got := p.next(); !bytes.Equal(got, accepted(1, words(43))) {
		t.Errorf("the reply is %x", got)
	}
	p.call(2, procConn, nil)
	if again := p.next(); !bytes.Equal(again, first) {
		t.Errorf("one connection has two numbers: %x and %x", first, again)
	}
	other.call(2, procConn, nil)
	if b := other.next(); bytes.Equal(b, first) {
		t.Error("two connections have one number")
	}
}

func TestAClientThatRefusesACallOrGoesAwayIsAnError(t *testing.T) {
	c := &callbacks{}
	dial := startCallbacks(t, c)
	p := dial()
	for name, reply := range map[string]func(xid uint32) []byte{
		"PROC_UNAVAIL": func(xid uint32) []byte { return words(xid, 1, 0, 0, 0, 3) },
		"denied":       func(xid uint32) []byte { return words(xid, 1, 1, 1, 5) },
		"cut off":      func(xid uint32) []byte { return words(xid, 1, 0) },
	} {
		p.call(1, procBack, nil)
		xid, _ := p.called()
		p.send(reply(xid))
		p.next()
		if err := <-c.results; !errors.Is(err, sunrpc.ErrCallback) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.call(2, procBack, nil)
	p.called()
	_ = p.conn.Close()
	if err := <-c.results; !errors.Is(err, sunrpc.ErrConnClosed) {
		t.Errorf("gone: %v", err)
	}
}

func TestAConnectionKnowsWhenItHasEnded(t *testing.T) {
	c := &callbacks{}
	dial := startCallbacks(t, c)
	p := dial()
	p.call(1, procConn, nil)
	p.next()
	conn := <-c.conns
	select {
	case <-conn.Done():
		t.Fatal("a connection that is there has ended")
	default:
	}
	_ = p.conn.Close()
	select {
	case <-conn.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("nobody is told that the connection has ended")
	}
	if _, err := conn.Call(t.Context(), 1, 1, 1, nil); !errors.Is(err, sunrpc.ErrConnClosed) {
		t.Errorf("a call afterwards: %v", err)
	}
}

func TestAReplyThatNobodyAskedForEndsTheConnection(t *testing.T) {
	dial := startCallbacks(t, &callbacks{})
	p := dial()
	p.send(accepted(1, nil))
	if b, err := p.record(); err == nil {
		t.Errorf("the server goes on, and sends %x", b)
	}
	// The same number twice.
	p = dial()
	p.call(1, procBack, nil)
	xid, _ := p.called()
	p.send(accepted(xid, nil))
	p.next()
	p.send(accepted(xid, nil))
	if b, err := p.record(); err == nil {
		t.Errorf("after a second reply the server goes on, and sends %x", b)
	}
}

func TestALateReplyIsForgottenAndUnansweredCallsAreBounded(t *testing.T) {
	c := &callbacks{timeout: 50 * time.Millisecond}
	dial := startCallbacks(t, c)
	p := dial()
	var late []uint32
	const most = 16
	for i := range uint32(most) {
		p.call(i, procBack, nil)
		xid, _ := p.called()
		late = append(late, xid)
		p.next() // SYSTEM_ERR
		if err := <-c.results; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	p.call(100, procBack, nil)
	p.next()
	if err := <-c.results; !errors.Is(err, sunrpc.ErrCallbacks) {
		t.Errorf("one call more than wait already: %v", err)
	}
	for _, xid := range late {
		p.send(accepted(xid, nil))
	}
	p.call(101, procBack, words(5))
	xid, _ := p.called()
	p.send(accepted(xid, words(6)))
	if got := p.next(); !bytes.Equal(got, accepted(101, words(6))) {
		t.Errorf("after the late replies: %x", got)
	}
}

func TestWhetherACallWaitsIsDecidedByItsArgumentsAndItRunsOnce(t *testing.T) {
	c := &callbacks{}
	dial := startCallbacks(t, c)
	p := dial()
	for i, waits := range []uint32{0, 1, 0, 1} {
		p.call(uint32(i), procSometimes, words(waits))
		if got := p.next(); !bytes.Equal(got, accepted(uint32(i), words(waits))) {
			t.Errorf("a call that waits %d: %x", waits, got)
		}
	}
	if n := c.runs.Load(); n != 4 {
		t.Errorf("4 calls ran %d times", n)
	}
}
