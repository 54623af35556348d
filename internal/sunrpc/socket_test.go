package sunrpc

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc/budget"
)

// sockets returns both ends of a connection.
func sockets(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// memory is a source that counts what it is told.
type memory struct {
	b        [100]byte
	nothings int
}

func (m *memory) room() []byte { return m.b[:] }
func (m *memory) nothing()     { m.nothings++ }

func TestSocketIsRead(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // with one processor no socket is waited for in poll
	for _, way := range []string{"read", "await"} {
		t.Run(way, func(t *testing.T) {
			srv := &Server{}
			client, server := sockets(t)
			k := newSocket(srv, server)
			m := &memory{}
			read := func() (string, error) {
				t.Helper()
				if way == "read" {
					n, err := k.read(m)
					return string(m.b[:n]), err
				}
				if !k.mayAwait() {
					t.Fatal("another read is still in poll")
				}
				if k.mayAwait() {
					t.Fatal("two reads at a time")
				}
				n, err := k.await(m)
				if srv.polling.Load() {
					t.Error("a read that has returned is still in poll")
				}
				return string(m.b[:n]), err
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
				m.nothings = 0
				time.AfterFunc(delay, func() { send("late") })
				if s, err := read(); s != "late" || err != nil {
					t.Errorf("what came after %v: %q, %v", delay, s, err)
				}
				if m.nothings == 0 {
					t.Errorf("nothing was there for %v, and the source was not told", delay)
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

			other, again := sockets(t)
			k = newSocket(srv, again)
			if err := other.SetLinger(0); err != nil { // RST
				t.Fatal(err)
			}
			time.AfterFunc(time.Millisecond/2, func() { other.Close() })
			if s, err := read(); s != "" || err == nil || errors.Is(err, io.EOF) {
				t.Errorf("after a reset: %q, %v", s, err)
			}
		})
	}
}

func TestSocketSendsPiecesOfAnyNumberAndSizeInOrder(t *testing.T) {
	client, server := sockets(t)
	k := newSocket(&Server{}, server)
	var want []byte
	var vector [][]byte
	for i := range 3000 { // more than the kernel takes at once
		size := i % 7
		if i%500 == 0 {
			size = 1 << 20 // more than the socket holds
		}
		piece := bytes.Repeat([]byte{byte(i)}, size)
		vector = append(vector, piece)
		want = append(want, piece...)
	}
	got := make(chan []byte)
	go func() {
		b := make([]byte, len(want))
		n, _ := io.ReadFull(client, b)
		got <- b[:n]
	}()
	var stall budget.Stall
	if err := k.write(vector, &stall); err != nil {
		t.Fatal(err)
	}
	if b := <-got; !bytes.Equal(b, want) {
		t.Errorf("%d bytes arrived that are not the %d sent", len(b), len(want))
	}
	if err := server.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := k.write([][]byte{make([]byte, 64<<20)}, &stall); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a client that does not read: %v, want the deadline", err)
	}
}
