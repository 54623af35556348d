package sunrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
)

// pipes is a listener whose connections are in memory, so that their deadlines go by the clock of a synctest bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if nc, ok := <-p; ok {
		return nc, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error { return nil }

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial() net.Conn {
	client, server := net.Pipe()
	p <- server
	return client
}

// inVirtualTime runs a server with the default times in a bubble, where they pass at once.
func inVirtualTime(t *testing.T, test func(t *testing.T, ln pipes)) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := sunrpc.NewServer(sunrpc.Options{Programs: []sunrpc.Program{{
			Number: testProgram, Name: "test", Versions: []sunrpc.Version{{Number: 2, Procs: (&program{}).procs()}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		ln, served := make(pipes), make(chan error, 1)
		go func() { served <- srv.Serve(ln) }()
		test(t, ln)
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		close(ln)
		if err := <-served; !errors.Is(err, sunrpc.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// ended returns how long after began the server closed the connection.
func ended(t *testing.T, nc net.Conn, began time.Time) time.Duration {
	t.Helper()
	if n, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("read %d bytes, %v; want EOF", n, err)
	}
	return time.Since(began)
}

func TestSlowSenderIsCutOffAndOthersAreServed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, ln pipes) {
		slow, other := ln.dial(), ln.dial()
		defer slow.Close()
		defer other.Close()
		began := time.Now()
		stopped := make(chan time.Duration, 1)
		go func() {
			for _, b := range marked(callRecord(1, procEcho, opaque(make([]byte, 4096)))) {
				if _, err := slow.Write([]byte{b}); err != nil {
					break
				}
				time.Sleep(time.Second)
			}
			stopped <- time.Since(began)
		}()
		for len(stopped) == 0 {
			sent := time.Now()
			if _, err := other.Write(marked(callRecord(2, procEcho, opaque([]byte("fast"))))); err != nil {
				t.Fatal(err)
			}
			if xid, res := readReply(t, other); xid != 2 || !bytes.Equal(res, opaque([]byte("fast"))) {
				t.Fatalf("reply of call %d: % x", xid, res)
			}
			if d := time.Since(sent); d > time.Second {
				t.Fatalf("another client waited for %v", d)
			}
			time.Sleep(time.Second)
		}
		// The time runs from the first byte, so that sending on does not prolong it.
		if d := <-stopped; d < 30*time.Second || d > 32*time.Second {
			t.Errorf("cut off after %v, want 30s", d)
		}
	})
}

func TestIdleConnectionIsClosedAfterItsTime(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, ln pipes) {
		nc := ln.dial()
		defer nc.Close()
		for range 4 { // calls keep it open beyond the time
			if _, err := nc.Write(marked(callRecord(1, procNull, nil))); err != nil {
				t.Fatal(err)
			}
			readReply(t, nc)
			time.Sleep(10 * time.Minute)
		}
		began := time.Now().Add(-10 * time.Minute)
		if d := ended(t, nc, began); d < 13*time.Minute || d > 15*time.Minute {
			t.Errorf("closed %v after its last call, want 15 minutes or an eighth less", d)
		}
	})
}
