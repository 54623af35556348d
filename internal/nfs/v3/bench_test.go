package v3_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/nfs/nfstest"
	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// BenchmarkOverTCP is the whole way from socket to stores and back, with four
// connections and 16 calls outstanding on each (4 of those of 1 MiB). The
// client is in the same process.
func BenchmarkOverTCP(b *testing.B) {
	const fileSize = 16 << 20
	srv := nfstest.Start(b, nfstest.Pebble, config.Share{Name: "export"})
	c := srv.Dial(nfsclient.Options{})
	root := srv.Mount(c, "/export")
	n, err := c.Create(root, "file", nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	mega := make([]byte, 1<<20)
	for off := 0; off < fileSize; off += len(mega) {
		if _, err := c.Write(n.Handle, uint64(off), mega, nfsclient.FileSync); err != nil {
			b.Fatal(err)
		}
	}
	var serial atomic.Uint64
	for _, bench := range []struct {
		name  string
		depth int
		bytes int64
		proc  uint32
		put   func(*xdr.Encoder)
	}{
		{"GETATTR", 16, 0, nfsclient.ProcGetAttr, func(e *xdr.Encoder) { e.Opaque(n.Handle) }},
		{"LOOKUP", 16, 0, nfsclient.ProcLookup, func(e *xdr.Encoder) { e.Opaque(root); e.String("file") }},
		{"ACCESS", 16, 0, nfsclient.ProcAccess, func(e *xdr.Encoder) { e.Opaque(n.Handle); e.Uint32(0x3f) }},
		{"READ4K", 16, 4 << 10, nfsclient.ProcRead, func(e *xdr.Encoder) {
			e.Opaque(n.Handle)
			e.Uint64(uint64(rand.IntN(fileSize>>12)) << 12)
			e.Uint32(4 << 10)
		}},
		{"READ1M", 4, 1 << 20, nfsclient.ProcRead, func(e *xdr.Encoder) {
			e.Opaque(n.Handle)
			e.Uint64(uint64(rand.IntN(fileSize>>20)) << 20)
			e.Uint32(1 << 20)
		}},
		{"WRITE4K_FILE_SYNC", 16, 4 << 10, nfsclient.ProcWrite, func(e *xdr.Encoder) {
			putWrite(e, n.Handle, uint64(rand.IntN(fileSize>>12))<<12, mega[:4<<10], nfsclient.FileSync)
		}},
		{"WRITE1M_UNSTABLE", 4, 1 << 20, nfsclient.ProcWrite, func(e *xdr.Encoder) {
			putWrite(e, n.Handle, uint64(rand.IntN(fileSize>>20))<<20, mega, nfsclient.Unstable)
		}},
		{"CREATE", 16, 0, nfsclient.ProcCreate, func(e *xdr.Encoder) {
			e.Opaque(root)
			e.String(fmt.Sprint("new", serial.Add(1)))
			e.Append(make([]byte, 7*4)) // UNCHECKED, no attributes
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(bench.bytes)
			b.ReportAllocs()
			pipelined(b, srv.Addr, bench.depth, bench.proc, bench.put)
		})
	}
}

func putWrite(e *xdr.Encoder, h nfsclient.Handle, off uint64, data []byte, stable uint32) {
	e.Opaque(h)
	e.Uint64(off)
	e.Uint32(uint32(len(data)))
	e.Uint32(stable)
	e.Opaque(data)
}

// counted makes calls until none is left of the shared budget.
type counted struct {
	left *atomic.Int64
	proc uint32
	put  func(*xdr.Encoder)
}

func (c counted) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	if c.left.Add(-1) < 0 {
		return 0, false
	}
	c.put(args)
	return c.proc, true
}

func (c counted) Done(_ int, results *xdr.Decoder) error {
	if st := results.Uint32(); st != 0 {
		return nfsclient.Status(st)
	}
	return nil
}

func pipelined(b *testing.B, addr string, depth int, proc uint32, put func(*xdr.Encoder)) {
	const conns = 4
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range conns {
		p, err := nfsclient.DialPipeline(addr, nfsclient.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := p.Run(depth, counted{&left, proc, put}); err != nil {
				b.Error(err)
			}
		}()
	}
	b.ResetTimer()
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
