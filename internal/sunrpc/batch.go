package sunrpc

import (
	"sync"

	"github.com/dittofs/dittofs/internal/xdr"
)

const (
	// copyLimit is the size up to which opaque data is copied into the batch:
	// below it a copy is cheaper than an element of the vector.
	copyLimit = 16 << 10
	// batchTarget is the size at which a batch is sent without waiting for
	// the rest of the calls that have arrived.
	batchTarget = 64 << 10
	// keepBatch is the largest encoder that a pooled batch keeps.
	keepBatch = 128 << 10
)

// batch is replies ready to be sent: encoded bytes, with large opaque data
// that is sent from where it lies inserted at given places.
type batch struct {
	enc     xdr.Encoder
	inserts []insert
	extra   int   // bytes of the inserts
	charge  int64 // what the account holds for it
	start   int   // where the reply being encoded begins
	extra0  int   // extra when it began
	count0  int   // number of inserts when it began
}

type insert struct {
	at  int // offset in the encoder's bytes
	buf Buffer
}

var batches = sync.Pool{New: func() any { return &batch{enc: xdr.NewEncoder(make([]byte, 0, 4<<10))} }}

func newBatch() *batch { return batches.Get().(*batch) }

// free gives back the batch and what it still holds.
func (b *batch) free() {
	b.release(0)
	b.enc.Truncate(0)
	b.charge = 0
	if b.enc.Cap() <= keepBatch {
		batches.Put(b)
	}
}

// release drops the inserts from number n on.
func (b *batch) release(n int) {
	for i := n; i < len(b.inserts); i++ {
		b.extra -= len(b.inserts[i].buf.Bytes())
		b.inserts[i].buf.Release()
		b.inserts[i].buf = nil
	}
	b.inserts = b.inserts[:n]
}

func (b *batch) size() int { return b.enc.Len() + b.extra }

// begin marks the start of a reply.
func (b *batch) begin() {
	b.start, b.extra0, b.count0 = b.enc.Len(), b.extra, len(b.inserts)
}

// rewind forgets the reply being encoded, but for its first keep bytes.
func (b *batch) rewind(keep int) {
	b.release(b.count0)
	b.enc.Truncate(b.start + keep)
}

// end fills in the record mark and returns the reply's length with it.
func (b *batch) end() int {
	n := b.enc.Len() - b.start + b.extra - b.extra0
	b.enc.PutUint32(b.start, lastFragment|uint32(n-markSize))
	return n
}

func (b *batch) appendOpaque(buf Buffer) {
	p := buf.Bytes()
	if len(p) < copyLimit {
		b.enc.Opaque(p)
		buf.Release()
		return
	}
	b.enc.Uint32(uint32(len(p)))
	b.inserts = append(b.inserts, insert{at: b.enc.Len(), buf: buf})
	b.extra += len(p)
	b.enc.Pad(len(p))
}

// absorb copies another batch's replies behind this one's, if they are small,
// and tells whether it did.
func (b *batch) absorb(other *batch) bool {
	if len(other.inserts) > 0 || b.enc.Len()+other.enc.Len() > batchTarget {
		return false
	}
	b.enc.Append(other.enc.Bytes())
	return true
}

// appendVector appends the pieces to v in the order in which they are sent.
func (b *batch) appendVector(v [][]byte) [][]byte {
	at, buf := 0, b.enc.Bytes()
	for _, in := range b.inserts {
		if in.at > at {
			v = append(v, buf[at:in.at])
		}
		v = append(v, in.buf.Bytes())
		at = in.at
	}
	if at < len(buf) {
		v = append(v, buf[at:])
	}
	return v
}
