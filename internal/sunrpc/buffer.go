package sunrpc

import "sync"

// buffer is pooled memory for one record, or for part of one. Its sizes are
// few, so that a buffer given back fits the next record.
type buffer struct {
	b     []byte
	class int
	// charge is what the connection's account holds for it.
	charge int64
}

// bufferSizes are those of buffers below the largest record. From 64 KiB on they
// leave room for a header beside data of a power of two.
var bufferSizes = []int{1 << 10, 8 << 10, readBuffer, 68 << 10, 132 << 10, 260 << 10, 516 << 10}

// buffers are the pools; the last class holds the server's largest record.
type buffers struct {
	sizes []int
	pools []sync.Pool
}

func newBuffers(maxRecord int) *buffers {
	p := &buffers{}
	for _, n := range bufferSizes {
		if n < max(maxRecord, readBuffer+1) {
			p.sizes = append(p.sizes, n)
		}
	}
	p.sizes = append(p.sizes, max(maxRecord, readBuffer+1))
	p.pools = make([]sync.Pool, len(p.sizes))
	return p
}

// size returns the capacity of the buffer that get(n) returns.
func (p *buffers) size(n int) int { return p.sizes[p.class(n)] }

func (p *buffers) class(n int) int {
	class := 0
	for class < len(p.sizes)-1 && p.sizes[class] < n {
		class++
	}
	return class
}

// get returns an empty buffer with room for n bytes, or for the largest
// record if that is less.
func (p *buffers) get(n int) *buffer {
	class := p.class(n)
	if b, ok := p.pools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, p.sizes[class]), class: class}
}

func (p *buffers) put(b *buffer) {
	b.b, b.charge = b.b[:0], 0
	p.pools[b.class].Put(b)
}
