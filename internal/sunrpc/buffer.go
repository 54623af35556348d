package sunrpc

import "sync"

// buffer is pooled memory for one record. Its sizes are few, so that a buffer
// given back fits the next record.
type buffer struct {
	b     []byte
	class int
	// charge is what the record holds of the server's budget for large ones.
	charge int64
}

const (
	smallBuffer  = 1 << 10
	mediumBuffer = 8 << 10
	// unchargedBuffer is the largest that a record may hold before the
	// server's budget is asked.
	unchargedBuffer = 64 << 10
	largeBuffer     = 256 << 10
)

// buffers are the pools; the last class holds the server's largest record.
type buffers struct {
	sizes []int
	pools []sync.Pool
}

func newBuffers(maxRecord int) *buffers {
	p := &buffers{}
	for _, n := range []int{smallBuffer, mediumBuffer, unchargedBuffer, largeBuffer} {
		if n < maxRecord {
			p.sizes = append(p.sizes, n)
		}
	}
	p.sizes = append(p.sizes, maxRecord)
	p.pools = make([]sync.Pool, len(p.sizes))
	return p
}

// get returns an empty buffer with room for n bytes, or for the largest
// record if that is less.
func (p *buffers) get(n int) *buffer {
	class := 0
	for class < len(p.sizes)-1 && p.sizes[class] < n {
		class++
	}
	if b, ok := p.pools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, p.sizes[class]), class: class}
}

func (p *buffers) put(b *buffer) {
	b.b, b.charge = b.b[:0], 0
	p.pools[b.class].Put(b)
}

// grow moves b to the next larger class.
func (p *buffers) grow(b *buffer) *buffer {
	next := p.get(p.sizes[b.class] + 1)
	next.b = append(next.b, b.b...)
	next.charge = b.charge
	p.put(b)
	return next
}
