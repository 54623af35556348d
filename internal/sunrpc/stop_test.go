package sunrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// shutdownDuring begins a call that waits, and a Shutdown that finds it in flight.
func shutdownDuring(t *testing.T, f *fixture, nc net.Conn, xid uint32) (stopped chan error) {
	t.Helper()
	if _, err := nc.Write(marked(callRecord(xid, procWait, opaque([]byte("in flight"))))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "call begun", func() bool { return f.waits.Load() == 1 })
	stopped = make(chan error, 1)
	go func() { stopped <- f.srv.Shutdown(t.Context()) }()
	if err := <-f.done; !errors.Is(err, sunrpc.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	return stopped
}

// endsWith lets the call in flight go: its reply is the last thing on the connection, and then Shutdown ends well.
func endsWith(t *testing.T, f *fixture, nc net.Conn, call uint32, stopped <-chan error) {
	t.Helper()
	f.release <- struct{}{}
	if xid, res := readReply(t, nc); xid != call || !bytes.Equal(res, opaque([]byte("in flight"))) {
		t.Fatalf("reply of call %d: % x", xid, res)
	}
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("then %v, want EOF", err)
	}
	nc.Close()
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownAnswersWhatIsInFlightAndThenSendsFIN(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	stopped := shutdownDuring(t, f, nc, 1)
	if c, err := net.Dial("tcp", f.addr); err == nil {
		c.Close()
		t.Error("a connection was accepted after Shutdown")
	}
	select {
	case err := <-stopped:
		t.Fatalf("Shutdown returned %v before the call was done", err)
	default:
	}
	// A call that arrives too late must not reset the connection under the
	// reply of the one in flight.
	if _, err := nc.Write(marked(callRecord(2, procEcho, opaque(nil)))); err != nil {
		t.Fatal(err)
	}
	endsWith(t, f, nc, 1, stopped)
}

func TestShutdownDoesNotWaitBeyondItsContext(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	c := f.dial(t, nfsclient.Options{})
	failed := make(chan error, 1)
	go func() {
		_, err := c.Call(testProgram, 2, procWait, opaque(nil))
		failed <- err
	}()
	eventually(t, "call begun", func() bool { return f.waits.Load() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Shutdown: %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the call that was given up was answered")
	}
}

func TestClientsThatGoAwayLeaveNothingBehind(t *testing.T) {
	f := serve(t, sunrpc.Options{MaxBytes: 4 << 20})
	before := runtime.NumGoroutine()
	for i := range uint32(60) {
		nc := f.raw(t)
		var out []byte
		for j := range uint32(4) {
			out = append(out, marked(callRecord(100*i+j, procWait, opaque(words(i, j))))...)
			out = append(out, marked(callRecord(100*i+j+50, procLarge, words(300<<10)))...)
			out = append(out, marked(callRecord(100*i+j+60, procLargeApart, words(300<<10)))...)
		}
		out = append(out, marked(callRecord(100*i+99, procEcho, opaque(make([]byte, 200<<10))))...)
		// Cut anywhere, also within a large record.
		if _, err := nc.Write(out[:len(out)-int(i)*3000]); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			_ = nc.(*net.TCPConn).SetLinger(0) // RST instead of FIN
		}
		nc.Close()
	}
	for range 240 {
		f.release <- struct{}{}
	}
	eventually(t, "goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
	if made, released := f.made.Load(), f.released.Load(); made != released {
		t.Errorf("%d buffers were made, %d given back", made, released)
	}
	// The budgets are whole again: the largest calls are served.
	c := f.dial(t, nfsclient.Options{})
	for range 8 {
		mustEcho(t, c, pattern(1<<20))
	}
}

func TestServeAfterShutdownServesNothing(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	if err := f.srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.srv.Serve(ln); !errors.Is(err, sunrpc.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}
