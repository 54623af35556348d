package sunrpc_test

import (
	"bytes"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
)

// askWhere makes the call and says whether the reader of the connection served it.
func askWhere(t *testing.T, nc net.Conn, xid uint32) bool {
	t.Helper()
	if _, err := nc.Write(marked(callRecord(xid, procWhere, nil))); err != nil {
		t.Fatal(err)
	}
	got, res := readReply(t, nc)
	if got != xid {
		t.Fatalf("reply of call %d to call %d", got, xid)
	}
	return bytes.Equal(res, words(1))
}

// settle makes calls one by one until the reader serves them.
func settle(t *testing.T, nc net.Conn, xid uint32) {
	t.Helper()
	for i := range uint32(100) {
		if askWhere(t, nc, xid+i) {
			return
		}
	}
	t.Fatal("100 calls, one after the other, were all given to other goroutines")
}

func TestReaderServesCallsThatComeOneByOne(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	if askWhere(t, nc, 1) {
		t.Error("the first call was served by the reader, which cannot know whether more will come")
	}
	settle(t, nc, 2)

	together := append(marked(callRecord(1001, procWhere, nil)), marked(callRecord(1002, procWhere, nil))...)
	if _, err := nc.Write(together); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if xid, res := readReply(t, nc); bytes.Equal(res, words(1)) {
			t.Errorf("call %d, one of two, was served by the reader", xid)
		}
	}
	if askWhere(t, nc, 1003) {
		t.Error("a call soon after two at once was served by the reader")
	}
	settle(t, nc, 2000)
}

func TestCallsAreServedBehindOneThatTakesLong(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	for round := range uint32(3) {
		xid := 10_000 * (round + 1)
		settle(t, nc, xid)
		if _, err := nc.Write(marked(callRecord(xid+1000, procWait, opaque([]byte("long"))))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "call begun", func() bool { return f.waits.Load() == int32(round+1) })
		for i := range uint32(3) {
			if _, err := nc.Write(marked(callRecord(xid+2000+i, procEcho, opaque([]byte("short"))))); err != nil {
				t.Fatal(err)
			}
			if got, _ := readReply(t, nc); got != xid+2000+i {
				t.Fatalf("reply of call %d", got)
			}
		}
		f.release <- struct{}{}
		if got, res := readReply(t, nc); got != xid+1000 || !bytes.Equal(res, opaque([]byte("long"))) {
			t.Fatalf("reply of call %d: % x", got, res)
		}
	}
}

func TestEachOfManyReadersIsWatchedOrServesNothing(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	const clients = 40 // more than are watched
	var conns []net.Conn
	for i := range uint32(clients) {
		nc := f.raw(t)
		for j := range uint32(20) {
			askWhere(t, nc, 100*i+j+1)
		}
		conns = append(conns, nc)
	}
	for i, nc := range conns {
		if _, err := nc.Write(marked(callRecord(uint32(10_000+i), procWait, opaque(nil)))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "calls begun", func() bool { return f.waits.Load() == clients })
	for i, nc := range conns {
		askWhere(t, nc, uint32(20_000+i))
	}
	for range clients {
		f.release <- struct{}{}
	}
	for _, nc := range conns {
		readReply(t, nc)
	}
}

func TestShutdownWhileTheReaderServes(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	settle(t, nc, 1)
	stopped := shutdownDuring(t, f, nc, 1000)
	endsWith(t, f, nc, 1000, stopped)
}

func TestClientGoesAwayWhileTheReaderServes(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	before := runtime.NumGoroutine()
	for i := range uint32(10) {
		nc := f.raw(t)
		settle(t, nc, 1000*i+1)
		if _, err := nc.Write(marked(callRecord(1000*i+500, procWait, opaque(nil)))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "call begun", func() bool { return f.waits.Load() == int32(i+1) })
		nc.Close()
	}
	for range 10 {
		f.release <- struct{}{}
	}
	eventually(t, "goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
}

// A pause ends the watch, and with it nothing that a call could rely on.
func TestPausesBetweenCalls(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	settle(t, nc, 1)
	for i, pause := range []time.Duration{
		0, time.Millisecond, 60 * time.Millisecond, 66 * time.Millisecond, 72 * time.Millisecond,
	} {
		time.Sleep(pause)
		xid := uint32(1000 * (i + 1))
		if _, err := nc.Write(marked(callRecord(xid, procWait, opaque(nil)))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "call begun", func() bool { return f.waits.Load() == int32(i+1) })
		if _, err := nc.Write(marked(callRecord(xid+1, procNull, nil))); err != nil {
			t.Fatal(err)
		}
		if got, _ := readReply(t, nc); got != xid+1 {
			t.Fatalf("reply of call %d", got)
		}
		f.release <- struct{}{}
		readReply(t, nc)
		settle(t, nc, xid+100)
	}
}
