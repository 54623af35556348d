package sunrpc_test

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// hostile is a client at its worst: many connections of one address.
func hostile(t *testing.T, f *fixture, conns int, send func(nc net.Conn)) {
	t.Helper()
	for range conns {
		nc := f.raw(t)
		if err := nc.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		go send(nc)
	}
}

// pipeline sends the same call until the server takes no more.
func pipeline(proc uint32, args []byte) func(net.Conn) {
	return func(nc net.Conn) {
		one := marked(callRecord(1, proc, args))
		var many []byte
		for len(many) < 64<<10 {
			many = append(many, one...)
		}
		_ = nc.SetWriteDeadline(time.Now().Add(3 * time.Second))
		for range 16 {
			if _, err := nc.Write(many); err != nil {
				return
			}
		}
	}
}

// peakHeap returns the most memory in use until stop is called.
func peakHeap() (stop func() uint64) {
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse+m.StackInuse)
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(done); return <-peak }
}

func TestClientsThatTakeNoRepliesTakeLittleFromOthers(t *testing.T) {
	const limit = 32 << 20
	for name, attack := range map[string]func(net.Conn){
		"large replies, inline":        pipeline(procLarge, words(1<<20)),
		"large replies, on goroutines": pipeline(procLargeApart, words(1<<20)),
		"small replies, inline":        pipeline(procNull, nil),
		"small replies, on goroutines": pipeline(procLargeApart, words(4)),
		"echoes":                       pipeline(procEcho, opaque(pattern(3000))),
		"errors":                       pipeline(procHole, nil),
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, sunrpc.Options{MaxBytes: limit})
			debug.FreeOSMemory() // what other tests left
			stop := peakHeap()
			hostile(t, f, 200, attack)
			others := []*nfsclient.Client{f.dial(t, nfsclient.Options{}), f.dial(t, nfsclient.Options{Local: "127.0.0.2"})}
			for began := time.Now(); time.Since(began) < 2*time.Second; {
				for _, c := range others {
					mustEcho(t, c, pattern(500))
				}
				mustEcho(t, others[1], pattern(512<<10))
			}
			// What the budget does not know: stacks, the sockets of this test, and garbage.
			if peak := stop(); peak > 8*limit {
				t.Errorf("%d MiB in use, budget %d MiB", peak>>20, limit>>20)
			}
			if f.srv.Memory().Used > limit {
				t.Errorf("%d bytes are held, limit %d", f.srv.Memory().Used, limit)
			}
		})
	}
}

func TestWhatHostileClientsHoldComesBack(t *testing.T) {
	f := serve(t, sunrpc.Options{WriteTimeout: time.Second, RecordTimeout: time.Second, IdleTimeout: 3 * time.Second})
	hostile(t, f, 20, pipeline(procLarge, words(1<<20)))
	hostile(t, f, 20, pipeline(procLargeApart, words(1<<20)))
	hostile(t, f, 20, func(nc net.Conn) { _, _ = nc.Write(append(words(1<<31|1<<20), make([]byte, 200<<10)...)) })
	hostile(t, f, 20, func(nc net.Conn) { _, _ = nc.Write(append(words(1<<31|20<<10), make([]byte, 10<<10)...)) })
	eventually(t, "something is held", func() bool { return f.srv.Memory().Used > 1<<20 })
	eventually(t, "all connections ended", func() bool { return len(f.srv.Connections()) == 0 })
	eventually(t, "all bytes given back", func() bool { return f.srv.Memory().Used == 0 })
}

func TestUnfinishedRecordsHoldUpNobodyForLong(t *testing.T) {
	const limit = 32 << 20
	for name, sent := range map[string]int{
		"little": 3, "below a buffer": 20 << 10, "a part": 70 << 10, "most": 900 << 10,
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, sunrpc.Options{MaxBytes: limit})
			part := append(words(1<<31|1<<20), make([]byte, sent)...)
			for range 100 {
				nc := f.raw(t)
				go func() { _, _ = nc.Write(part) }()
			}
			other, same := f.dial(t, nfsclient.Options{Local: "127.0.0.2"}), f.dial(t, nfsclient.Options{})
			for range 20 {
				began := time.Now()
				mustEcho(t, other, pattern(512<<10))
				if d := time.Since(began); d > 5*time.Second {
					t.Errorf("a record of another client took %v", d)
				}
				mustEcho(t, same, pattern(512<<10))
			}
		})
	}
}

func TestRecordsInFragmentsDoNotWaitForEachOther(t *testing.T) {
	const record = 128 << 10
	f := serve(t, sunrpc.Options{MaxRecord: record, MaxBytes: 16 * record})
	begun := append(append(words(60<<10), make([]byte, 60<<10)...), words(1<<31|60<<10)...)
	for range 40 {
		nc := f.raw(t)
		go func() { _, _ = nc.Write(begun) }()
	}
	same := f.dial(t, nfsclient.Options{})
	for range 5 {
		mustEcho(t, same, pattern(100<<10))
	}
}

func TestCallsThatWaitForBytesHoldNoneOfWhatArrivedBeforeThem(t *testing.T) {
	const conns, part = 15, 20 << 10
	f := serve(t, sunrpc.Options{MaxRecord: 64 << 10, MaxBytes: 1 << 20})
	var all []net.Conn
	stream := append(marked(callRecord(1, procEcho, opaque(pattern(30<<10)))),
		marked(callRecord(2, procLargeApart, words(64<<10)))...)
	for range conns {
		nc := f.raw(t)
		if _, err := nc.Write(stream[:part]); err != nil {
			t.Fatal(err)
		}
		all = append(all, nc)
	}
	eventually(t, "what has arrived is counted", func() bool { return f.srv.Memory().Used >= conns*32<<10 })
	for _, nc := range all {
		if _, err := nc.Write(stream[part:]); err != nil {
			t.Fatal(err)
		}
	}
	for _, nc := range all {
		for want := range uint32(2) {
			if xid, _ := readReply(t, nc); xid != want+1 {
				t.Fatalf("reply of call %d, want %d", xid, want+1)
			}
		}
	}
}

func TestReadersOfOneClientLeaveProcessorsToOthers(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	most := int32(max(4, 2*runtime.GOMAXPROCS(0)))
	for range most + 4 {
		if _, err := f.raw(t).Write(marked(callRecord(1, procPause, nil))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "as many readers serve as may", func() bool { return f.pauses.Load() == most })
	mustEcho(t, f.dial(t, nfsclient.Options{Local: "127.0.0.2"}), []byte("another client"))
	if n := f.pauses.Load(); n != most {
		t.Errorf("%d readers of a client serve at a time, want %d", n, most)
	}
	for range most + 4 {
		f.release <- struct{}{}
	}
	eventually(t, "all served", func() bool { return f.pauses.Load() == most+4 })
}

func TestCallsInFlightOfAClientAreBounded(t *testing.T) {
	const most = 1024
	f := serve(t, sunrpc.Options{})
	for conn := range uint32(6) {
		var calls []byte
		for i := range uint32(200) {
			calls = append(calls, marked(callRecord(conn<<16|i, procWait, opaque(words(i))))...)
		}
		if _, err := f.raw(t).Write(calls); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "as many begun as may", func() bool { return f.waits.Load() == most })
	if err := f.dial(t, nfsclient.Options{Local: "127.0.0.2"}).Send(1, testProgram, 2, procWait,
		opaque(words(1))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another client's begun", func() bool { return f.waits.Load() == most+1 })
	for i := 0; f.waits.Load() < 1201; i++ {
		select {
		case f.release <- struct{}{}:
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d of 1201 calls began", f.waits.Load())
		}
	}
}

func TestARecordThatWaitsForItsTurnIsGivenBackWhenItsClientGoes(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	most := int32(max(4, 2*runtime.GOMAXPROCS(0)))
	for range most {
		if _, err := f.raw(t).Write(marked(callRecord(1, procPause, nil))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all turns of the client are taken", func() bool { return f.pauses.Load() == most })
	nc, large := f.raw(t), marked(callRecord(1, procEcho, opaque(pattern(200<<10))))
	if _, err := nc.Write(large); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record has arrived", func() bool {
		for _, c := range f.srv.Connections() {
			if c.InBytes == uint64(len(large)) {
				return true
			}
		}
		return false
	})
	time.Sleep(50 * time.Millisecond) // for it to wait for a turn
	if err := nc.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	time.Sleep(200 * time.Millisecond) // for the reset to arrive
	for range most {
		f.release <- struct{}{}
	}
	eventually(t, "the connection ended", func() bool { return len(f.srv.Connections()) == int(most) })
	eventually(t, "all bytes are given back", func() bool { return f.srv.Memory().Used == 0 })
}

func TestListingsThatNobodyReadsLeaveTheirPlacesToOthers(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	side := max(4, 2*runtime.GOMAXPROCS(0))
	one := marked(callRecord(1, procListLarge, words(1<<20)))
	hostile(t, f, 2*side, func(nc net.Conn) { _, _ = nc.Write(one) })
	eventually(t, "as many wait for their client as may list", func() bool { return int(f.made.Load()) >= side })
	time.Sleep(200 * time.Millisecond)
	c := f.dial(t, nfsclient.Options{})
	f.release <- struct{}{}
	began := time.Now()
	if _, err := c.Call(testProgram, 2, procList, nil); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("a listing took %v", d)
	}
}

func TestListingsOfOneClientAreBounded(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	side := max(4, 2*runtime.GOMAXPROCS(0))
	const conns = 4
	for range conns {
		nc := f.raw(t)
		for j := range side {
			if _, err := nc.Write(marked(callRecord(uint32(j), procList, nil))); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "as many run as may", func() bool { return int(f.waits.Load()) >= side })
	time.Sleep(100 * time.Millisecond)
	if n := int(f.waits.Load()); n != side {
		t.Errorf("%d listings of one client run at a time", n)
	}
	for range conns * side {
		f.release <- struct{}{}
	}
	eventually(t, "all were made", func() bool { return int(f.waits.Load()) == conns*side })
}

func TestListingsOfAllClientsTogetherAreBounded(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	side := max(4, 2*runtime.GOMAXPROCS(0))
	const clients = 20
	for i := range clients {
		nc := f.rawFrom(t, fmt.Sprintf("127.0.1.%d", i+1))
		for j := range side {
			if _, err := nc.Write(marked(callRecord(uint32(j), procList, nil))); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "listings run", func() bool { return int(f.waits.Load()) >= 8*side })
	time.Sleep(100 * time.Millisecond)
	if n := int(f.waits.Load()); n != 8*side {
		t.Errorf("%d listings run at a time", n)
	}
	for range clients * side {
		f.release <- struct{}{}
	}
	eventually(t, "all were made", func() bool { return int(f.waits.Load()) == clients*side })
}

func TestCallsOfAClientThatHasResetItsConnectionAreDropped(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	nc := f.raw(t)
	side := max(4, 2*runtime.GOMAXPROCS(0))
	for i := range uint32(50) {
		if _, err := nc.Write(marked(callRecord(i, procList, nil))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "listings of a client run at a time", func() bool { return int(f.waits.Load()) == side })
	if err := nc.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	time.Sleep(200 * time.Millisecond) // for the reset to arrive
	for range 50 {
		f.release <- struct{}{}
	}
	eventually(t, "the connection ended", func() bool { return len(f.srv.Connections()) == 0 })
	if n := int(f.waits.Load()); n != side {
		t.Errorf("%d calls ran, %d of them after the client was gone", n, n-side)
	}
	if used := f.srv.Memory().Used; used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}
