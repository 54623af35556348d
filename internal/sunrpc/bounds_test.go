package sunrpc_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// mustAnswer checks that the server serves the connection.
func mustAnswer(t testing.TB, nc net.Conn) {
	t.Helper()
	if _, err := nc.Write(marked(callRecord(77, procNull, nil))); err != nil {
		t.Fatal(err)
	}
	if xid, _ := readReply(t, nc); xid != 77 {
		t.Fatalf("reply of call %d", xid)
	}
}

// mustEnd checks that the server ends the connection without a reply.
func mustEnd(t testing.TB, nc net.Conn) {
	t.Helper()
	n, err := nc.Read(make([]byte, 64))
	if n > 0 {
		t.Fatal("the server answered")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the server kept the connection")
	}
}

func TestWhatIsNotRPCEndsTheConnectionQuietly(t *testing.T) {
	f := serve(t, sunrpc.Options{MaxRecord: 64 << 10})
	call := callRecord(1, procEcho, opaque([]byte("x")))
	longCred := words(1, 0, 2, testProgram, 2, procEcho, 0, 401)
	tests := map[string][]byte{
		"HTTP":                          []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"TLS":                           {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03},
		"record above the limit":        words(1<<31 | (64<<10 + 1)),
		"record of 2 GiB":               words(1<<32 - 1),
		"fragment of 2 GiB":             words(1<<31 - 1),
		"fragments above the limit":     append(append(words(60<<10), make([]byte, 60<<10)...), words(1<<31|8<<10)...),
		"empty record":                  words(1 << 31),
		"record shorter than a header":  marked(call[:12]),
		"reply instead of a call":       marked(words(1, 1, 0, 0, 0, 0)),
		"message of no type":            marked(words(1, 7, 2, testProgram, 2, 0, 0, 0, 0, 0)),
		"credential above the limit":    marked(append(longCred, make([]byte, 412)...)),
		"credential beyond the record":  marked(words(1, 0, 2, testProgram, 2, procEcho, 0, 100)),
		"too many fragments":            bytes.Repeat(words(0), 300),
		"fragments of nothing but rest": bytes.Repeat(append(words(1), 0), 300),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			nc := f.raw(t)
			if _, err := nc.Write(in); err != nil {
				t.Fatal(err)
			}
			mustEnd(t, nc)
		})
	}
	t.Run("nothing at all", func(t *testing.T) { f.raw(t).Close() })
	mustEcho(t, f.dial(t, nfsclient.Options{}), []byte("others go on"))
	if logs := f.logs.String(); logs != "" {
		t.Errorf("logged above debug:\n%s", logs)
	}
}

func TestRecordsArriveWholeHoweverTheyAreCut(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	for _, size := range []int{0, 5, 100, 32<<10 - 60, 32 << 10, 64 << 10, 70 << 10, 300 << 10, 1 << 20} {
		rec := callRecord(9, procEcho, opaque(pattern(size)))
		cuts := map[string]func(nc net.Conn) error{
			"one write": func(nc net.Conn) error { _, err := nc.Write(marked(rec)); return err },
			"header alone": func(nc net.Conn) error {
				m := marked(rec)
				for _, part := range [][]byte{m[:2], m[2:4], m[4:11], m[11:]} {
					if _, err := nc.Write(part); err != nil {
						return err
					}
				}
				return nil
			},
			"hundred fragments": func(nc net.Conn) error {
				var out []byte
				step := len(rec)/100 + 1
				for at := 0; at < len(rec); at += step {
					end := min(at+step, len(rec))
					mark := uint32(end - at)
					if end == len(rec) {
						mark |= 1 << 31
					}
					out = append(append(out, words(mark)...), rec[at:end]...)
				}
				_, err := nc.Write(out)
				return err
			},
			"empty fragments": func(nc net.Conn) error {
				out := append(words(0, 0, uint32(len(rec))), rec...)
				_, err := nc.Write(append(out, words(1<<31)...))
				return err
			},
		}
		for name, send := range cuts {
			nc := f.raw(t)
			for range 2 { // the second record of the connection as well
				if err := send(nc); err != nil {
					t.Fatal(err)
				}
				if xid, res := readReply(t, nc); xid != 9 || !bytes.Equal(res, opaque(pattern(size))) {
					t.Fatalf("%d bytes, %s: reply of call %d, %d bytes", size, name, xid, len(res))
				}
			}
			nc.Close()
		}
	}
}

func TestAnnouncedRecordsTakeNoMemoryBeforeTheyArrive(t *testing.T) {
	f := serve(t, sunrpc.Options{})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC() // twice: pools give their memory back at the second
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const conns = 100
	before := heap()
	for range conns {
		nc := f.raw(t)
		if _, err := nc.Write(append(marked(callRecord(1, procNull, nil)),
			append(words(1<<31|1<<20), 1, 2, 3)...)); err != nil {
			t.Fatal(err)
		}
		readReply(t, nc) // by then the announcement has been read
	}
	mustEcho(t, f.dial(t, nfsclient.Options{}), []byte("others go on"))
	if used := heap() - before; used > conns*256<<10 {
		t.Errorf("%d connections that announced 1 MiB and sent 3 bytes hold %d KiB each", conns, used/conns>>10)
	}
}

func TestClientThatDoesNotReadIsCutOffAndItsBuffersComeBack(t *testing.T) {
	for name, proc := range map[string]uint32{"inline": procLarge, "on goroutines": procLargeApart} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, sunrpc.Options{WriteTimeout: 500 * time.Millisecond})
			nc := f.raw(t)
			var err error
			for err == nil { // until the server closes
				_, err = nc.Write(marked(callRecord(1, proc, words(1<<20))))
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("the server kept the connection")
			}
			eventually(t, "all buffers given back", func() bool { return f.released.Load() == f.made.Load() })
			// What the sockets hold, the queue, and the calls that wait for room.
			if n := f.made.Load(); n > 300 {
				t.Errorf("%d MiB were made for a client that does not read", n)
			}
			mustEcho(t, f.dial(t, nfsclient.Options{}), []byte("others go on"))
		})
	}
}

func TestCallsInFlightOfAConnectionAreBounded(t *testing.T) {
	f := serve(t, sunrpc.Options{MaxInFlight: 4})
	nc := f.raw(t)
	for i := range uint32(10) {
		if _, err := nc.Write(marked(callRecord(i, procWait, opaque(words(i))))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "four calls begun", func() bool { return f.waits.Load() == 4 })
	mustEcho(t, f.dial(t, nfsclient.Options{}), []byte("others go on"))
	if n := f.waits.Load(); n != 4 {
		t.Errorf("%d calls in flight, limit 4", n)
	}
	for range 10 {
		f.release <- struct{}{}
	}
	seen := map[uint32]bool{}
	for range 10 {
		xid, _ := readReply(t, nc)
		seen[xid] = true
	}
	if len(seen) != 10 {
		t.Errorf("replies of %d calls, want 10", len(seen))
	}
}

func TestBytesOfCallsInFlightAreBoundedForAllConnections(t *testing.T) {
	const limit = 17 << 20
	f := serve(t, sunrpc.Options{MaxBytes: limit})
	var wg sync.WaitGroup
	for range 16 {
		c := f.dial(t, nfsclient.Options{})
		wg.Add(1)
		go func() {
			defer wg.Done()
			arg := opaque(pattern(900 << 10))
			if res, err := c.Call(testProgram, 2, procWait, arg); err != nil || !bytes.Equal(res, arg) {
				t.Errorf("call: %v, %d bytes", err, len(res))
			}
		}()
	}
	eventually(t, "some calls begun", func() bool { return f.waits.Load() >= 3 })
	mustEcho(t, f.dial(t, nfsclient.Options{}), []byte("small calls go on"))
	if n := f.waits.Load(); n > limit/2/(900<<10) {
		t.Errorf("%d calls of 900 KiB in flight for one client, of which half of %d MiB may be", n, limit>>20)
	}
	for range 16 {
		f.release <- struct{}{}
	}
	wg.Wait()
}

func TestUnfinishedLargeRecordsGiveWay(t *testing.T) {
	// Room for two large records; four that will not be finished come first.
	f := serve(t, sunrpc.Options{MaxBytes: 2 << 20, MaxRecord: 1 << 20, RecordTimeout: 300 * time.Millisecond})
	for range 4 {
		nc := f.raw(t)
		if _, err := nc.Write(append(words(1<<31|1<<20), make([]byte, 100<<10)...)); err != nil {
			t.Fatal(err)
		}
	}
	mustEcho(t, f.dial(t, nfsclient.Options{}), []byte("small ones are not held up"))
	// The large record has to arrive in that time too: on a busy machine not at the first attempt.
	eventually(t, "a large record served", func() bool {
		c, err := nfsclient.Dial(f.addr, nfsclient.Options{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		arg := opaque(pattern(1<<20 - 100))
		res, err := c.Call(testProgram, 2, procEcho, arg)
		return err == nil && bytes.Equal(res, arg)
	})
}

func TestForANewConnectionTheIdlestOfTheClientThatHasMostIsClosed(t *testing.T) {
	f := serve(t, sunrpc.Options{MaxConns: 4})
	other := f.dial(t, nfsclient.Options{Local: "127.0.0.2"})
	mustEcho(t, other, nil)
	greedy := make([]net.Conn, 3)
	for i := range greedy {
		greedy[i] = f.raw(t)
		mustAnswer(t, greedy[i])
	}
	mustAnswer(t, greedy[0]) // the second is the idlest now
	late := f.dial(t, nfsclient.Options{Local: "127.0.0.3"})
	mustEcho(t, late, nil)
	mustEnd(t, greedy[1])
	mustAnswer(t, greedy[0])
	again := f.raw(t) // of the one that has two
	mustAnswer(t, again)
	mustEnd(t, greedy[2])
	for _, c := range []*nfsclient.Client{other, late} {
		mustEcho(t, c, nil)
	}
	mustAnswer(t, greedy[0])
}
