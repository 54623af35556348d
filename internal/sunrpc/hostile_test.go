package sunrpc_test

import (
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
	for name, sent := range map[string]int{"little": 3, "below a buffer": 20 << 10, "a part": 70 << 10, "most": 900 << 10} {
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
