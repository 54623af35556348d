package verify

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// Shape is the size of what a worker writes.
type Shape struct {
	Files     int // of a worker
	Blocks    int // of a file
	BlockSize int // bytes; best no divisor of a page, so that blocks straddle pages
	Most      int // blocks of one WRITE
}

// Small is a few megabytes for all workers together.
var Small = Shape{Files: 3, Blocks: 400, BlockSize: 1000, Most: 40}

// file is what a client knows of a file that it alone writes. Each write gives the blocks that it covers a new version.
type file struct {
	shape  Shape
	id     uint64
	name   string
	handle nfsclient.Handle

	mu       sync.Mutex // between its writer and readers
	version  uint32
	durable  []uint32 // the version acknowledged as stable: this or a newer one must be there
	sent     []uint32 // the newest version that may be there
	visible  []uint32 // the version acknowledged by this start of the server, stable or not
	unstable []uint32 // the version that waits for a COMMIT; 0: none
}

func newFile(shape Shape, id uint64, name string, handle nfsclient.Handle) *file {
	versions := func() []uint32 { return make([]uint32, shape.Blocks) }
	return &file{shape: shape, id: id, name: name, handle: handle,
		durable: versions(), sent: versions(), visible: versions(), unstable: versions()}
}

// extent is a range of blocks, written with one version.
type extent struct {
	first, count int
	version      uint32
}

func (f *file) offset(e extent) uint64 { return uint64(e.first * f.shape.BlockSize) }

// next chooses a range to write.
func (f *file) next(random *rand.Rand) extent {
	first := random.IntN(f.shape.Blocks)
	return f.write(first, 1+random.IntN(min(f.shape.Most, f.shape.Blocks-first)))
}

// write gives a range a new version and notes that it is about to be sent.
func (f *file) write(first, count int) extent {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	for b := first; b < first+count; b++ {
		f.sent[b] = f.version
	}
	return extent{first, count, f.version}
}

// acknowledged notes that an extent was written, and whether it is stable.
func (f *file) acknowledged(e extent, stable bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for b := e.first; b < e.first+e.count; b++ {
		f.visible[b] = e.version
		if stable {
			f.durable[b], f.unstable[b] = e.version, 0
		} else {
			f.unstable[b] = e.version
		}
	}
}

// committed notes that a COMMIT made what was acknowledged before it stable.
func (f *file) committed() (blocks int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for b, v := range f.unstable {
		if v != 0 {
			f.durable[b], f.unstable[b] = v, 0
			blocks++
		}
	}
	return blocks
}

// restarted notes that the server lost what was not stable, and returns the ranges to write again, as a client does
// that finds another write verifier.
func (f *file) restarted() (again [][2]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	copy(f.visible, f.durable)
	for b, v := range f.unstable {
		if v == 0 {
			continue
		}
		f.unstable[b] = 0
		if n := len(again); n > 0 && again[n-1][0]+again[n-1][1] == b && again[n-1][1] < f.shape.Most {
			again[n-1][1]++
		} else {
			again = append(again, [2]int{b, 1})
		}
	}
	return again
}

// bytes are the content of an extent.
func (f *file) bytes(e extent) []byte {
	data := make([]byte, e.count*f.shape.BlockSize)
	for i := range e.count {
		f.fill(data[i*f.shape.BlockSize:][:f.shape.BlockSize], e.first+i, e.version)
	}
	return data
}

// fill is the content of a block of a version: what it is, and bytes that follow from that. Version 0 was never
// written: a hole.
func (f *file) fill(b []byte, number int, version uint32) {
	clear(b)
	if version == 0 {
		return
	}
	binary.BigEndian.PutUint32(b, version)
	random := rand.NewPCG(f.id<<24|uint64(number), uint64(version))
	for i := 4; i+8 <= len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], random.Uint64())
	}
}

// bound says what a read of a block must give at least.
type bound func(f *file) []uint32

func durable(f *file) []uint32 { return f.durable }
func visible(f *file) []uint32 { return f.visible }

// least is a copy of the versions that a read which begins now must give at least.
func (f *file) least(of bound, first, count int) []uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]uint32(nil), of(f)[first:first+count]...)
}

// check compares blocks as they were read with what must and what may be there, and returns their versions. What lies
// behind the end of the file is a hole.
func (f *file) check(first int, least []uint32, content []byte) ([]uint32, error) {
	size := f.shape.BlockSize
	if len(content) > len(least)*size {
		return nil, wrong("file %d: %d bytes at block %d, %d were asked for", f.id, len(content), first, len(least)*size)
	}
	whole := make([]byte, len(least)*size)
	copy(whole, content)
	versions, want := make([]uint32, len(least)), make([]byte, size)
	f.mu.Lock()
	sent := append([]uint32(nil), f.sent[first:first+len(least)]...)
	f.mu.Unlock()
	for i := range least {
		got := whole[i*size:][:size]
		v := binary.BigEndian.Uint32(got)
		f.fill(want, first+i, v)
		switch {
		case !bytes.Equal(got, want):
			return nil, wrong("file %d block %d says version %d, but has other bytes", f.id, first+i, v)
		case v > sent[i]:
			return nil, wrong("file %d block %d has version %d; %d is the newest that was sent", f.id, first+i, v, sent[i])
		case v < least[i]:
			return nil, lost("file %d block %d has version %d; %d was acknowledged (read of %d bytes)",
				f.id, first+i, v, least[i], len(content))
		}
		versions[i] = v
	}
	return versions, nil
}

// found notes what a server that was started again holds: that is durable from now on.
func (f *file) found(versions []uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	copy(f.durable, versions)
	copy(f.visible, versions)
}
