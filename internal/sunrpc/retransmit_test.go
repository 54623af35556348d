package sunrpc_test

import (
	"bytes"
	"testing"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/test/nfsclient"
)

func TestRetransmittedCallRunsOnce(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	arg := opaque([]byte("once"))
	first := f.dial(t, nfsclient.Options{AuthNone: true})
	answered := make(chan []byte, 1)
	go func() {
		res, err := first.CallXID(100, testProgram, 2, procWait, arg)
		if err != nil {
			t.Error(err)
		}
		answered <- res
	}()
	eventually(t, "call begun", func() bool { return f.waits.Load() == 1 })

	// In progress: dropped, on any connection.
	again := f.raw(t)
	retransmission := append(marked(callRecord(100, procWait, arg)), marked(callRecord(101, procNull, nil))...)
	cred := f.dial(t, nfsclient.Options{AuthNone: true})
	if err := cred.Send(100, testProgram, 2, procWait, arg); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Write(retransmission); err != nil {
		t.Fatal(err)
	}
	if xid, _ := readReply(t, again); xid != 101 {
		t.Fatalf("call %d was answered while its first run is in progress", xid)
	}
	f.release <- struct{}{}
	want := <-answered

	// Done: answered from the cache, on another connection.
	got, err := cred.CallXID(100, testProgram, 2, procWait, arg)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("retransmission: % x, %v; first % x", got, err, want)
	}
	if n := f.waits.Load(); n != 1 {
		t.Errorf("the call ran %d times", n)
	}
}

func TestOtherCallWithTheSameNumberRuns(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	base := f.dial(t, nfsclient.Options{UID: 1})
	long := func(last byte) []byte { return append(pattern(4000), last) }
	calls := []struct {
		name string
		c    *nfsclient.Client
		vers uint32
		arg  []byte
	}{
		{"the first", base, 2, []byte("a")},
		{"other arguments", base, 2, []byte("b")},
		{"longer arguments", base, 2, []byte("aaaaaaaaaaaaaaaaa")},
		{"another version", base, 4, []byte("a")},
		{"another user", f.dial(t, nfsclient.Options{UID: 2}), 2, []byte("a")},
		{"another group", f.dial(t, nfsclient.Options{UID: 1, GID: 1}), 2, []byte("a")},
		{"more groups", f.dial(t, nfsclient.Options{UID: 1, Groups: []uint32{1}}), 2, []byte("a")},
		{"other groups", f.dial(t, nfsclient.Options{UID: 1, Groups: []uint32{2}}), 2, []byte("a")},
		{"root", f.dial(t, nfsclient.Options{}), 2, []byte("a")},
		{"nobody in particular", f.dial(t, nfsclient.Options{AuthNone: true}), 2, []byte("a")},
		{"long arguments", base, 2, long(1)},
		{"arguments that differ at their end", base, 2, long(2)},
	}
	for i, call := range calls {
		f.release <- struct{}{}
		res, err := call.c.CallXID(5, testProgram, call.vers, procWait, opaque(call.arg))
		if err != nil || !bytes.Equal(res, opaque(call.arg)) {
			t.Errorf("%s: % x, %v", call.name, res, err)
		}
		if n := int(f.waits.Load()); n != i+1 {
			t.Errorf("%s: %d calls ran, want %d", call.name, n, i+1)
		}
	}
}

func TestDuplicateCacheIsBounded(t *testing.T) {
	f := serve(t, sunrpc.Options{Duplicates: sunrpc.DuplicateCache{Entries: 32}})
	c := f.dial(t, nfsclient.Options{})
	const calls = 400
	run := func(xid uint32) {
		t.Helper()
		f.release <- struct{}{}
		if _, err := c.CallXID(xid, testProgram, 2, procWait, opaque(words(xid))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(calls) {
		run(i)
	}
	run(0) // long forgotten: it runs again
	if n := f.waits.Load(); n != calls+1 {
		t.Errorf("%d calls ran, want %d", n, calls+1)
	}
	res, err := c.CallXID(0, testProgram, 2, procWait, opaque(words(0)))
	if err != nil || !bytes.Equal(res, opaque(words(0))) {
		t.Errorf("the last call again: % x, %v", res, err)
	}
	if n := f.waits.Load(); n != calls+1 {
		t.Errorf("the last call ran again")
	}
}

func TestAClientDoesNotPushOutWhatOthersMayAskForAgain(t *testing.T) {
	f := serve(t, sunrpc.Options{Duplicates: sunrpc.DuplicateCache{Entries: 64}})
	quiet, busy := f.dial(t, nfsclient.Options{Local: "127.0.0.2"}), f.dial(t, nfsclient.Options{Local: "127.0.0.3"})
	run := func(c *nfsclient.Client, xid uint32) {
		t.Helper()
		f.release <- struct{}{}
		if _, err := c.CallXID(xid, testProgram, 2, procWait, opaque(words(xid))); err != nil {
			t.Fatal(err)
		}
	}
	run(quiet, 1)
	const others = 1000
	for i := range uint32(others) {
		run(busy, 2+i)
	}
	if _, err := quiet.CallXID(1, testProgram, 2, procWait, opaque(words(1))); err != nil {
		t.Fatal(err)
	}
	if n := f.waits.Load(); n != others+1 {
		t.Errorf("%d calls ran, want %d: the retransmission ran again", n, others+1)
	}
}
