package data

import (
	"math/bits"
	"sync"

	"github.com/dittofs/dittofs/internal/data/format"
)

// Buffers come in powers of two from 4 KiB to 1 MiB, each with room for the
// rest of the first and the last page.
const (
	minBufferBits = 12
	maxBufferBits = 20
	bufferSlop    = 2 * format.BlockSize
)

var bufferPools [maxBufferBits - minBufferBits + 1]sync.Pool

// Buffer is memory from a pool with bytes that were read. It is released once.
type Buffer struct {
	mem   []byte
	p     []byte
	class int
}

// Bytes is valid until Release.
func (b *Buffer) Bytes() []byte { return b.p }

// Release gives the memory back.
func (b *Buffer) Release() {
	if b.class < 0 {
		return
	}
	b.p = nil
	bufferPools[b.class].Put(b)
}

// newBuffer returns a buffer with at least n bytes of memory, and more than
// that for pages that are read only to verify their checksums.
func newBuffer(n int) *Buffer {
	class := max(bits.Len(uint(max(n, 1)-1))-minBufferBits, 0)
	if class >= len(bufferPools) {
		return &Buffer{mem: make([]byte, n+bufferSlop), class: -1}
	}
	if b, ok := bufferPools[class].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{mem: make([]byte, 1<<(class+minBufferBits)+bufferSlop), class: class}
}
