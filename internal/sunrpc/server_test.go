package sunrpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// The program of these tests.
const (
	testProgram = 0x20000001

	procNull  = 0
	procEcho  = 1 // returns its argument; inline
	procWait  = 2 // waits for the test, then returns its argument; cached
	procPanic = 3
	procRerun = 4 // would block inline, then returns whether it may
	procLarge = 5 // returns n bytes that it owns
	procHole  = 6 // has no handler
	procWho   = 7 // returns uid, gid and the number of groups
	// procLargeApart is procLarge, always on a goroutine.
	procLargeApart = 8
	procPause      = 9  // waits for the test, inline
	procWhere      = 10 // returns whether the goroutine that reads the connection serves it; never inline
	procList       = 11 // procWait without arguments, a listing
	procListLarge  = 12 // procLarge, a listing
	procLast       = 13
)

type program struct {
	release  chan struct{} // one element lets one procWait or procPause go
	waits    atomic.Int32  // procWait calls begun
	pauses   atomic.Int32  // procPause calls begun
	made     atomic.Int32  // large buffers made
	released atomic.Int32  // and given back
}

type ownedBuffer struct {
	b []byte
	p *program
}

func (o ownedBuffer) Bytes() []byte { return o.b }
func (o ownedBuffer) Release()      { o.p.released.Add(1) }

func (p *program) procs() []sunrpc.Proc {
	procs := make([]sunrpc.Proc, procLast)
	procs[procNull] = sunrpc.Proc{Name: "NULL", Handler: func(*sunrpc.Call) sunrpc.AcceptStat { return sunrpc.Success }}
	echo := func(c *sunrpc.Call) sunrpc.AcceptStat {
		b := c.Args.Opaque(1 << 20)
		if c.Args.Err() != nil {
			return sunrpc.GarbageArgs
		}
		c.Reply.Opaque(b)
		return sunrpc.Success
	}
	procs[procEcho] = sunrpc.Proc{Name: "ECHO", Handler: echo}
	procs[procWait] = sunrpc.Proc{Name: "WAIT", Class: sunrpc.Blocking, Cached: true,
		Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
			p.waits.Add(1)
			select {
			case <-p.release:
			case <-c.Context.Done():
				return sunrpc.SystemErr
			}
			return echo(c)
		}}
	procs[procPanic] = sunrpc.Proc{Name: "PANIC", Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
		c.Reply.Uint32(1)
		c.AppendOpaque(ownedBuffer{make([]byte, 1<<16), p})
		panic("as the test wants")
	}}
	procs[procRerun] = sunrpc.Proc{Name: "RERUN", Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
		v := c.Args.Uint32()
		c.Reply.Uint32(v)
		if !c.MayBlock {
			return sunrpc.WouldBlock
		}
		c.Reply.Bool(c.MayBlock)
		return sunrpc.Success
	}}
	procs[procLarge] = sunrpc.Proc{Name: "LARGE", Weight: func(args []byte) int {
		d := xdr.NewDecoder(args)
		return int(min(d.Uint32(), 1<<20))
	}, Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
		n := c.Args.Uint32()
		if c.Args.Err() != nil || n > 1<<20 {
			return sunrpc.GarbageArgs
		}
		p.made.Add(1)
		c.Reply.Uint32(n)
		c.AppendOpaque(ownedBuffer{bytes.Clone(pattern(int(n))), p})
		c.Reply.Uint32(^n)
		return sunrpc.Success
	}}
	procs[procLargeApart] = procs[procLarge]
	procs[procLargeApart].Class = sunrpc.Blocking
	procs[procPause] = sunrpc.Proc{Name: "PAUSE", Handler: func(*sunrpc.Call) sunrpc.AcceptStat {
		p.pauses.Add(1)
		<-p.release
		return sunrpc.Success
	}}
	procs[procWhere] = sunrpc.Proc{Name: "WHERE", Class: sunrpc.Blocking, Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
		c.Reply.Bool(bytes.Contains(debug.Stack(), []byte("(*conn).readCalls")))
		return sunrpc.Success
	}}
	procs[procList] = sunrpc.Proc{Name: "LIST", Class: sunrpc.Blocking, Listing: true,
		Handler: func(*sunrpc.Call) sunrpc.AcceptStat {
			p.waits.Add(1)
			<-p.release
			return sunrpc.Success
		}}
	procs[procListLarge] = procs[procLargeApart]
	procs[procListLarge].Listing = true
	procs[procWho] = sunrpc.Proc{Name: "WHO", Handler: func(c *sunrpc.Call) sunrpc.AcceptStat {
		c.Reply.Uint32(c.Cred.UID)
		c.Reply.Uint32(c.Cred.GID)
		c.Reply.Uint32(uint32(len(c.Cred.Groups())))
		return sunrpc.Success
	}}
	return procs
}

var patterns sync.Map // by size

func pattern(n int) []byte {
	if b, ok := patterns.Load(n); ok {
		return b.([]byte)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	patterns.Store(n, b)
	return b
}

type fixture struct {
	*program
	srv  *sunrpc.Server
	addr string
	logs *lockedBuffer
	done chan error // of Serve
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t testing.TB, opts sunrpc.Options) *fixture {
	t.Helper()
	f := &fixture{program: &program{release: make(chan struct{}, 1000)}, logs: &lockedBuffer{}, done: make(chan error, 1)}
	opts.Programs = []sunrpc.Program{{Number: testProgram, Name: "test", Versions: []sunrpc.Version{
		{Number: 2, Procs: f.procs()}, {Number: 4, Procs: f.procs()},
	}}}
	opts.Logger = slog.New(slog.NewTextHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
	var err error
	if f.srv, err = sunrpc.NewServer(opts); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = ln.Addr().String()
	go func() { f.done <- f.srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for range cap(f.release) - len(f.release) {
			f.release <- struct{}{}
		}
		if err := f.srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return f
}

func (f *fixture) dial(t testing.TB, opts nfsclient.Options) *nfsclient.Client {
	t.Helper()
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	c, err := nfsclient.Dial(f.addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (f *fixture) raw(t testing.TB) net.Conn { return f.rawFrom(t, "127.0.0.1") }

// rawFrom is a connection from an address.
func (f *fixture) rawFrom(t testing.TB, local string) net.Conn {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	nc, err := from.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return nc
}

func opaque(b []byte) []byte {
	var e xdr.Encoder
	e.Opaque(b)
	return e.Bytes()
}

func words(v ...uint32) []byte {
	var e xdr.Encoder
	for _, w := range v {
		e.Uint32(w)
	}
	return e.Bytes()
}

// callRecord is a call of the test program without its record mark.
func callRecord(xid, proc uint32, args []byte) []byte {
	return append(words(xid, 0, 2, testProgram, 2, proc, 0, 0, 0, 0), args...)
}

func marked(rec []byte) []byte {
	return append(words(1<<31|uint32(len(rec))), rec...)
}

func mustEcho(t testing.TB, c *nfsclient.Client, b []byte) {
	t.Helper()
	res, err := c.Call(testProgram, 2, procEcho, opaque(b))
	if err != nil {
		t.Fatalf("echo of %d bytes: %v", len(b), err)
	}
	if !bytes.Equal(res, opaque(b)) {
		t.Fatalf("echo of %d bytes returned %d other bytes", len(b), len(res))
	}
}

func TestCallsThatCannotBeServedGetTheErrorOfTheRFC(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	c := f.dial(t, nfsclient.Options{UID: 1000, GID: 100, Groups: []uint32{1, 2}})
	tests := map[string]struct {
		prog, vers, proc uint32
		args             []byte
		want             nfsclient.RPCError
	}{
		"unknown program":             {1, 1, 0, nil, nfsclient.RPCError{Stat: 1}},
		"version below":               {testProgram, 1, 0, nil, nfsclient.RPCError{Stat: 2, Low: 2, High: 4}},
		"version in between":          {testProgram, 3, 0, nil, nfsclient.RPCError{Stat: 2, Low: 2, High: 4}},
		"version above":               {testProgram, 5, 0, nil, nfsclient.RPCError{Stat: 2, Low: 2, High: 4}},
		"procedure beyond the last":   {testProgram, 2, procLast, nil, nfsclient.RPCError{Stat: 3}},
		"procedure of 32 bits":        {testProgram, 2, 1<<32 - 1, nil, nfsclient.RPCError{Stat: 3}},
		"procedure that is not there": {testProgram, 2, procHole, nil, nfsclient.RPCError{Stat: 3}},
		"no arguments":                {testProgram, 2, procEcho, nil, nfsclient.RPCError{Stat: 4}},
		"arguments cut short":         {testProgram, 2, procEcho, words(100, 1), nfsclient.RPCError{Stat: 4}},
		"argument of 4 GiB":           {testProgram, 2, procEcho, words(1<<32 - 1), nfsclient.RPCError{Stat: 4}},
		"handler panics":              {testProgram, 2, procPanic, nil, nfsclient.RPCError{Stat: 5}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Call(tc.prog, tc.vers, tc.proc, tc.args)
			var got *nfsclient.RPCError
			if !errors.As(err, &got) || *got != tc.want {
				t.Errorf("got %v, want %v", err, &tc.want)
			}
			mustEcho(t, c, []byte("the connection goes on"))
		})
	}
	if logs := f.logs.String(); !strings.Contains(logs, "as the test wants") || !strings.Contains(logs, "server_test.go") {
		t.Errorf("the panic was not logged with its stack:\n%s", logs)
	}
	if n := f.released.Load(); n != 1 {
		t.Errorf("%d buffers given back after the panic, want 1", n)
	}
}

func TestCredentialsAreCheckedBeforeTheProcedure(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	authSys := func(name int, groups uint32, tail ...uint32) []byte {
		var e xdr.Encoder
		e.Uint32(0)
		e.Opaque(make([]byte, name))
		e.Uint32(1000)
		e.Uint32(100)
		e.Uint32(groups)
		for _, g := range tail {
			e.Uint32(g)
		}
		return e.Bytes()
	}
	sixteen := make([]uint32, 16)
	tests := map[string]struct {
		flavor uint32
		body   []byte
		want   []uint32 // from msg_accepted or msg_denied on
	}{
		"none":                    {0, nil, []uint32{0, 0, 0, 0, 0, 0, 0}},
		"sys":                     {1, authSys(9, 2, 5, 6), []uint32{0, 0, 0, 0, 1000, 100, 2}},
		"sys of sixteen groups":   {1, authSys(255, 16, sixteen...), []uint32{0, 0, 0, 0, 1000, 100, 16}},
		"sys of seventeen groups": {1, authSys(9, 17, append(sixteen, 1)...), []uint32{1, 1, 1}},
		"sys with a long name":    {1, authSys(256, 0), []uint32{1, 1, 1}},
		"sys cut short":           {1, authSys(9, 2, 5), []uint32{1, 1, 1}},
		"sys without a body":      {1, nil, []uint32{1, 1, 1}},
		"short":                   {2, words(1), []uint32{1, 1, 2}},
		"gss":                     {6, words(1, 2, 3), []uint32{1, 1, 2}},
		"tls":                     {7, nil, []uint32{1, 1, 2}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var e xdr.Encoder
			e.Append(words(77, 0, 2, testProgram, 2, procWho, tc.flavor))
			e.Opaque(tc.body)
			e.Append(words(0, 0))
			nc := f.raw(t)
			if _, err := nc.Write(marked(e.Bytes())); err != nil {
				t.Fatal(err)
			}
			want := marked(append(words(77, 1), words(tc.want...)...))
			if got := readFull(t, nc, len(want)); !bytes.Equal(got, want) {
				t.Errorf("reply % x\nwant  % x", got, want)
			}
		})
	}
}

func TestAnotherRPCVersionIsToldWhichIsServed(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	if _, err := nc.Write(marked(words(5, 0, 3, 1, 1, 1, 0, 0, 0, 0))); err != nil {
		t.Fatal(err)
	}
	want := marked(words(5, 1, 1, 0, 2, 2))
	if got := readFull(t, nc, len(want)); !bytes.Equal(got, want) {
		t.Errorf("reply % x\nwant  % x", got, want)
	}
}

func TestLargeRepliesArriveWholeAmongSmallOnes(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	c := f.dial(t, nfsclient.Options{})
	sizes := []uint32{0, 1, 3, 16<<10 - 1, 16 << 10, 16<<10 + 1, 100001, 1 << 20}
	var wg sync.WaitGroup
	for range 8 {
		for _, n := range sizes {
			wg.Add(2)
			go func() {
				defer wg.Done()
				res, err := c.Call(testProgram, 2, procLarge, words(n))
				want := append(append(words(n), opaque(pattern(int(n)))...), words(^n)...)
				if err != nil || !bytes.Equal(res, want) {
					t.Errorf("reply of %d bytes: %v, %d bytes received", n, err, len(res))
				}
			}()
			go func() {
				defer wg.Done()
				mustEcho(t, c, []byte("small"))
			}()
		}
	}
	wg.Wait()
	eventually(t, "all buffers given back", func() bool { return int(f.released.Load()) == 8*len(sizes) })
}

func TestOneCallThatWaitsDoesNotHoldUpTheOthers(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	calls := append(marked(callRecord(1, procWait, opaque([]byte("slow")))),
		marked(callRecord(2, procEcho, opaque([]byte("fast"))))...)
	if _, err := nc.Write(calls); err != nil {
		t.Fatal(err)
	}
	if xid, res := readReply(t, nc); xid != 2 || !bytes.Equal(res, opaque([]byte("fast"))) {
		t.Fatalf("first reply is of call %d: % x", xid, res)
	}
	f.release <- struct{}{}
	if xid, res := readReply(t, nc); xid != 1 || !bytes.Equal(res, opaque([]byte("slow"))) {
		t.Fatalf("second reply is of call %d: % x", xid, res)
	}
}

func TestRepliesAreSentBeforeTheRestOfARecordIsWaitedFor(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	for name, n := range map[string]int{"small": 100, "large": 200 << 10} {
		t.Run(name, func(t *testing.T) {
			nc := f.raw(t)
			first, second := marked(callRecord(1, procEcho, opaque([]byte("a")))),
				marked(callRecord(2, procEcho, opaque(make([]byte, n))))
			half := len(second) / 2
			if _, err := nc.Write(append(first, second[:half]...)); err != nil {
				t.Fatal(err)
			}
			if xid, _ := readReply(t, nc); xid != 1 {
				t.Fatalf("reply of call %d", xid)
			}
			if _, err := nc.Write(second[half:]); err != nil {
				t.Fatal(err)
			}
			if xid, res := readReply(t, nc); xid != 2 || len(res) != xdr.OpaqueSize(n) {
				t.Fatalf("reply of call %d, %d bytes", xid, len(res))
			}
		})
	}
}

func TestRepliesDoNotWaitLongForOneAnother(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	calls := marked(callRecord(1, procNull, nil))
	calls = append(calls, marked(callRecord(2, procPause, nil))...)
	calls = append(calls, marked(callRecord(3, procPause, nil))...)
	if _, err := nc.Write(calls); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond) // that is what makes the second call a slow one
	f.release <- struct{}{}
	for xid := range uint32(2) {
		if got, _ := readReply(t, nc); got != xid+1 {
			t.Fatalf("reply of call %d, want %d", got, xid+1)
		}
	}
	f.release <- struct{}{}
	readReply(t, nc)
}

func TestHandlerThatWouldBlockRunsAgainWhereItMay(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	c := f.dial(t, nfsclient.Options{})
	res, err := c.Call(testProgram, 2, procRerun, words(42))
	if err != nil || !bytes.Equal(res, words(42, 1)) {
		t.Fatalf("% x, %v", res, err)
	}
}

func TestNewServerRefusesWhatItCouldNotServe(t *testing.T) {
	null := func(*sunrpc.Call) sunrpc.AcceptStat { return sunrpc.Success }
	for name, programs := range map[string][]sunrpc.Program{
		"no versions":       {{Number: 1, Name: "a"}},
		"the same twice":    {{Number: 1, Name: "a", Versions: []sunrpc.Version{{Number: 1}}}, {Number: 1, Name: "b", Versions: []sunrpc.Version{{Number: 1}}}},
		"cached and inline": {{Number: 1, Name: "a", Versions: []sunrpc.Version{{Number: 1, Procs: []sunrpc.Proc{{Name: "X", Handler: null, Cached: true}}}}}},
	} {
		if _, err := sunrpc.NewServer(sunrpc.Options{Programs: programs}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
