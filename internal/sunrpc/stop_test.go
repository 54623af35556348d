package sunrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/test/nfsclient"
)

func TestShutdownAnswersWhatIsInFlightAndThenSendsFIN(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	if _, err := nc.Write(marked(callRecord(1, procWait, opaque([]byte("in flight"))))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "call begun", func() bool { return f.waits.Load() == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- f.srv.Shutdown(t.Context()) }()
	if err := <-f.done; !errors.Is(err, sunrpc.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
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
	f.release <- struct{}{}
	if xid, res := readReply(t, nc); xid != 1 || !bytes.Equal(res, opaque([]byte("in flight"))) {
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
