package sunrpc

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

func TestAwaitedSocket(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // with one processor no socket is waited for in poll
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pair := func() (client, server net.Conn) {
		t.Helper()
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if server, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	srv := &Server{}
	client, server := pair()
	a := newAwaiter(srv, server)
	read := func() (string, error) {
		t.Helper()
		if !a.ready() {
			t.Fatal("another read is still in poll")
		}
		if a.ready() {
			t.Fatal("two reads at a time")
		}
		b := make([]byte, 100)
		n, err := a.read(b)
		if srv.polling.Load() {
			t.Error("a read that has returned is still in poll")
		}
		return string(b[:n]), err
	}
	send := func(s string) {
		if _, err := client.Write([]byte(s)); err != nil {
			t.Error(err)
		}
	}

	send("there")
	if s, err := read(); s != "there" || err != nil {
		t.Errorf("what was there: %q, %v", s, err)
	}
	for _, delay := range []time.Duration{time.Millisecond / 2, 20 * time.Millisecond} {
		time.AfterFunc(delay, func() { send("late") })
		if s, err := read(); s != "late" || err != nil {
			t.Errorf("what came after %v: %q, %v", delay, s, err)
		}
	}
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if s, err := read(); s != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("until the deadline: %q, %v", s, err)
	}
	if err := server.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, func() { client.Close() })
	if s, err := read(); s != "" || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %q, %v", s, err)
	}
	time.AfterFunc(time.Millisecond/2, func() { server.Close() })
	if s, err := read(); s != "" || err == nil {
		t.Errorf("after Close: %q, %v", s, err)
	}

	other, again := pair()
	defer again.Close()
	a = newAwaiter(srv, again)
	if err := other.(*net.TCPConn).SetLinger(0); err != nil { // RST
		t.Fatal(err)
	}
	time.AfterFunc(time.Millisecond/2, func() { other.Close() })
	if s, err := read(); s != "" || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after a reset: %q, %v", s, err)
	}
}
