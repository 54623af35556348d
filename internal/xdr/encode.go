package xdr

import "encoding/binary"

// Encoder appends to a buffer. The zero value is empty and ready to use.
type Encoder struct{ buf []byte }

// NewEncoder returns an encoder that appends to buf.
func NewEncoder(buf []byte) Encoder { return Encoder{buf: buf} }

// Bytes is everything encoded, with what the buffer held before.
func (e *Encoder) Bytes() []byte { return e.buf }

// Len is the length of Bytes.
func (e *Encoder) Len() int { return len(e.buf) }

// Cap is the length that Bytes can reach without being moved.
func (e *Encoder) Cap() int { return cap(e.buf) }

// Truncate forgets everything after the first n bytes.
func (e *Encoder) Truncate(n int) { e.buf = e.buf[:n] }

// Append appends b as it is: already encoded.
func (e *Encoder) Append(b []byte) { e.buf = append(e.buf, b...) }

// Set replaces the buffer: for functions that append to a slice, as in
// e.Set(handles.Append(e.Bytes(), id)).
func (e *Encoder) Set(buf []byte) { e.buf = buf }

// Uint32 appends an unsigned integer.
func (e *Encoder) Uint32(v uint32) { e.buf = binary.BigEndian.AppendUint32(e.buf, v) }

// Uint64 appends an unsigned hyper integer.
func (e *Encoder) Uint64(v uint64) { e.buf = binary.BigEndian.AppendUint64(e.buf, v) }

// Bool appends a boolean.
func (e *Encoder) Bool(v bool) {
	if v {
		e.Uint32(1)
	} else {
		e.Uint32(0)
	}
}

// PutUint32 writes v over the four bytes at offset at, which were encoded
// before: for lengths that are known late.
func (e *Encoder) PutUint32(at int, v uint32) { binary.BigEndian.PutUint32(e.buf[at:], v) }

// Fixed appends fixed-length opaque data with its padding.
func (e *Encoder) Fixed(b []byte) {
	e.buf = append(e.buf, b...)
	e.Pad(len(b))
}

// Opaque appends variable-length opaque data with its padding.
func (e *Encoder) Opaque(b []byte) {
	e.Uint32(uint32(len(b)))
	e.Fixed(b)
}

// String appends a string with its padding.
func (e *Encoder) String(s string) {
	e.Uint32(uint32(len(s)))
	e.buf = append(e.buf, s...)
	e.Pad(len(s))
}

// Pad appends the zero bytes that follow n bytes of opaque data.
func (e *Encoder) Pad(n int) { e.buf = append(e.buf, zeros[:Padding(n)]...) }

var zeros [4]byte

// Padding is the number of zero bytes that follow n bytes of opaque data.
func Padding(n int) int { return -n & 3 }

// OpaqueSize is the encoded length of n bytes of variable-length opaque data.
func OpaqueSize(n int) int { return 4 + n + Padding(n) }
