package crash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	blockSize  = 1000 // not a divisor of a page: blocks straddle pages
	fileBlocks = 400
)

// file is what a client knows of a file that it alone writes. Each write gives the blocks that it covers a new version.
type file struct {
	id      uint32
	handle  nfsclient.Handle
	version uint32
	durable [fileBlocks]uint32 // the version acknowledged as stable: this or a newer one must be there
	sent    [fileBlocks]uint32 // the newest version that may be there
}

// extent is a range of blocks, written with one version.
type extent struct {
	first, count int
	version      uint32
}

// next chooses a range, gives it a new version and notes that it is about to be sent.
func (f *file) next(random *rand.Rand, most int) extent {
	first := random.IntN(fileBlocks)
	f.version++
	e := extent{first: first, count: 1 + random.IntN(min(most, fileBlocks-first)), version: f.version}
	for b := e.first; b < e.first+e.count; b++ {
		f.sent[b] = e.version
	}
	return e
}

// acknowledged notes that an extent was acknowledged as stable.
func (f *file) acknowledged(e extent) {
	for b := e.first; b < e.first+e.count; b++ {
		f.durable[b] = max(f.durable[b], e.version)
	}
}

// bytes are the content of an extent.
func (f *file) bytes(e extent) []byte {
	data := make([]byte, 0, e.count*blockSize)
	for b := e.first; b < e.first+e.count; b++ {
		data = append(data, block(f.id, uint32(b), e.version)...)
	}
	return data
}

// block is the content of a block of a version: what it is, and bytes that follow from that. Version 0 was never written: a hole.
func block(file, number, version uint32) []byte {
	b := make([]byte, blockSize)
	if version == 0 {
		return b
	}
	binary.BigEndian.PutUint32(b, version)
	random := rand.New(rand.NewPCG(uint64(file)<<32|uint64(number), uint64(version)))
	for i := 4; i+8 <= len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], random.Uint64())
	}
	return b
}

// verify compares the file as it was read with what must and what may be there.
func (f *file) verify(content []byte) error {
	if len(content) > fileBlocks*blockSize {
		return fmt.Errorf("file %d has %d bytes; no more than %d were written", f.id, len(content), fileBlocks*blockSize)
	}
	whole := make([]byte, fileBlocks*blockSize) // what lies behind the end is a hole
	copy(whole, content)
	for b := range fileBlocks {
		got := whole[b*blockSize : (b+1)*blockSize]
		version := binary.BigEndian.Uint32(got)
		if version < f.durable[b] || version > f.sent[b] {
			return fmt.Errorf("file %d block %d has version %d: %d was acknowledged as stable, %d is the newest that was sent (size %d)", f.id, b, version, f.durable[b], f.sent[b], len(content))
		}
		if !bytes.Equal(got, block(f.id, uint32(b), version)) {
			return fmt.Errorf("file %d block %d says version %d, but has other bytes", f.id, b, version)
		}
	}
	return nil
}

// names is what a client knows of a directory that it alone changes.
type names struct {
	there map[string]bool
	// unsure are the names of the one operation in flight at a kill: either outcome is right, but not half of it.
	unsure map[string]bool
	serial int
}

// verify compares a listing with what must be there, and takes it over.
func (n *names) verify(listing map[string]bool) error {
	for name := range n.there {
		if !listing[name] && !n.unsure[name] {
			return fmt.Errorf("%s was acknowledged and is gone", name)
		}
	}
	for name := range listing {
		if !n.there[name] && !n.unsure[name] {
			return fmt.Errorf("%s is there, but its removal was acknowledged or it was never made", name)
		}
	}
	if n.renaming() && countOf(listing, n.unsure) != 1 {
		return fmt.Errorf("a rename is half done: of %v the directory has %d", n.unsure, countOf(listing, n.unsure))
	}
	n.there, n.unsure = listing, nil
	return nil
}

func (n *names) renaming() bool { return len(n.unsure) == 2 }

func countOf(listing, of map[string]bool) int {
	count := 0
	for name := range of {
		if listing[name] {
			count++
		}
	}
	return count
}
