package xdr_test

import (
	"testing"

	"github.com/dittofs/dittofs/internal/xdr"
)

// BenchmarkEncode and BenchmarkDecode are of about what a reply with attributes has: 21 words, a handle and a name.
func BenchmarkEncode(b *testing.B) {
	e := xdr.NewEncoder(make([]byte, 0, 1<<10))
	handle := make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		e.Truncate(0)
		encodeReply(&e, handle)
	}
	b.SetBytes(int64(e.Len()))
}

func encodeReply(e *xdr.Encoder, handle []byte) {
	for range 7 {
		e.Uint32(1)
		e.Uint64(2)
	}
	e.Opaque(handle)
	e.String("a name of a file")
}

func BenchmarkDecode(b *testing.B) {
	var e xdr.Encoder
	encodeReply(&e, make([]byte, 32))
	b.SetBytes(int64(e.Len()))
	b.ReportAllocs()
	for b.Loop() {
		d := xdr.NewDecoder(e.Bytes())
		for range 7 {
			d.Uint32()
			d.Uint64()
		}
		d.Opaque(64)
		d.Opaque(255)
		if d.Err() != nil {
			b.Fatal(d.Err())
		}
	}
}
