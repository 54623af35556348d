package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// measurement is one line of the table.
type measurement struct {
	name  string
	depth int // outstanding calls on a connection; 0: as asked for
	show  func(rate float64) string
	loads func(*bench) ([]load, error)
}

func perSecond(rate float64) string { return strconv.Itoa(int(rate)) + "/s" }
func bytesPer(rate float64) string  { return fmt.Sprintf("%.2f GiB/s", rate/(1<<30)) }

var measurements = []measurement{
	{"GETATTR", 0, perSecond, each(func(b *bench, _ int) load { return getattr{b.read} })},
	{"LOOKUP", 0, perSecond, each(func(b *bench, _ int) load { return lookup{b.dir} })},
	{"READ 4K cached", 0, perSecond, each(func(b *bench, _ int) load { return reads{b.read, block, 1, fileSize / 4} })},
	{"READ 1M cached", 4, bytesPer, each(func(b *bench, _ int) load { return reads{b.read, large, large, fileSize} })},
	{"WRITE 4K FILE_SYNC", 0, perSecond, each(func(b *bench, i int) load { return newWrites(b.write[i], block) })},
	{"WRITE 1M + COMMIT", 4, bytesPer, each(func(b *bench, i int) load { return newStream(b.write[i]) })},
	{"CREATE", 0, perSecond, creates},
}

func each(make func(b *bench, conn int) load) func(*bench) ([]load, error) {
	return func(b *bench) ([]load, error) {
		var out []load
		for i := range b.o.conns {
			out = append(out, make(b, i))
		}
		return out, nil
	}
}

type getattr struct{ h nfsclient.Handle }

func (l getattr) next(_ int, args *xdr.Encoder) (uint32, int) {
	args.Opaque(l.h)
	return nfsclient.ProcGetAttr, 1
}

type lookup struct{ dir nfsclient.Handle }

func (l lookup) next(_ int, args *xdr.Encoder) (uint32, int) {
	args.Opaque(l.dir)
	args.String("read")
	return nfsclient.ProcLookup, 1
}

// reads reads blocks at random places of the first span bytes.
type reads struct {
	h           nfsclient.Handle
	count, unit int
	span        int
}

func (l reads) next(_ int, args *xdr.Encoder) (uint32, int) {
	args.Opaque(l.h)
	args.Uint64(uint64(rand.IntN(l.span/l.count) * l.count))
	args.Uint32(uint32(l.count))
	return nfsclient.ProcRead, l.unit
}

// writes writes blocks at random places, each synced.
type writes struct {
	h    nfsclient.Handle
	data []byte
}

func newWrites(h nfsclient.Handle, size int) load { return writes{h, pattern(size)} }

func (l writes) next(_ int, args *xdr.Encoder) (uint32, int) {
	putWrite(args, l.h, uint64(rand.IntN(fileSize/4/len(l.data))*len(l.data)), l.data, nfsclient.FileSync)
	return nfsclient.ProcWrite, 1
}

func putWrite(args *xdr.Encoder, h nfsclient.Handle, off uint64, data []byte, stable uint32) {
	args.Opaque(h)
	args.Uint64(off)
	args.Uint32(uint32(len(data)))
	args.Uint32(stable)
	args.Opaque(data)
}

// stream overwrites the file from front to back, with a COMMIT for every 16
// MiB.
type stream struct {
	h    nfsclient.Handle
	data []byte
	n    int
}

func newStream(h nfsclient.Handle) load { return &stream{h: h, data: pattern(large)} }

func (l *stream) next(_ int, args *xdr.Encoder) (uint32, int) {
	l.n++
	if l.n%17 == 0 {
		args.Opaque(l.h)
		args.Uint64(0)
		args.Uint32(0)
		return nfsclient.ProcCommit, 0
	}
	putWrite(args, l.h, uint64(l.n%(fileSize/4/large)*large), l.data, nfsclient.Unstable)
	return nfsclient.ProcWrite, large
}

// newNames makes empty files in a directory of its own.
type newNames struct {
	dir nfsclient.Handle
	n   int
}

func creates(b *bench) ([]load, error) {
	var out []load
	for range b.o.conns {
		b.made++
		n, err := b.c.Mkdir(b.dir, fmt.Sprintf("create%d", b.made), nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0o755)})
		if err != nil {
			return nil, fmt.Errorf("mkdir: %w", err)
		}
		out = append(out, &newNames{dir: n.Handle})
	}
	return out, nil
}

func (l *newNames) next(_ int, args *xdr.Encoder) (uint32, int) {
	l.n++
	args.Opaque(l.dir)
	args.String("file" + strconv.Itoa(l.n))
	args.Uint32(nfsclient.Guarded)
	args.Bool(true)
	args.Uint32(0o644)
	for range 5 { // the other attributes as they come
		args.Uint32(0)
	}
	return nfsclient.ProcCreate, 1
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 11)
	}
	return b
}
