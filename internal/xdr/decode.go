package xdr

import (
	"encoding/binary"
	"errors"
)

// Errors of a Decoder, matched with errors.Is.
var (
	// ErrShort: the message ends before the item does.
	ErrShort = errors.New("xdr: message too short")
	// ErrTooLong: a length or count is above the caller's bound.
	ErrTooLong = errors.New("xdr: length above its bound")
	// ErrInvalid: a value that the type does not have, such as a boolean 2.
	ErrInvalid = errors.New("xdr: invalid value")
)

// Decoder reads one message from front to back. The zero value is an empty
// message. Once an item could not be read, all later ones are zero.
type Decoder struct {
	buf []byte
	off int
	err error
}

// NewDecoder returns a decoder of b. Opaque results alias b.
func NewDecoder(b []byte) Decoder { return Decoder{buf: b} }

// Err is the first failure, or nil.
func (d *Decoder) Err() error { return d.err }

// Fail makes err the failure unless there is one already. For values that
// only the caller can judge, such as an enumeration.
func (d *Decoder) Fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Rest is what has not been read. It aliases the message.
func (d *Decoder) Rest() []byte { return d.buf[d.off:] }

// Offset is the number of bytes read.
func (d *Decoder) Offset() int { return d.off }

// Uint32 reads an unsigned integer (RFC 4506 section 4.2).
func (d *Decoder) Uint32() uint32 {
	if d.err != nil || len(d.buf)-d.off < 4 {
		d.Fail(ErrShort)
		return 0
	}
	v := binary.BigEndian.Uint32(d.buf[d.off:])
	d.off += 4
	return v
}

// Uint64 reads an unsigned hyper integer (RFC 4506 section 4.5).
func (d *Decoder) Uint64() uint64 {
	if d.err != nil || len(d.buf)-d.off < 8 {
		d.Fail(ErrShort)
		return 0
	}
	v := binary.BigEndian.Uint64(d.buf[d.off:])
	d.off += 8
	return v
}

// Bool reads a boolean; anything but 0 and 1 is ErrInvalid (RFC 4506 section
// 4.4).
func (d *Decoder) Bool() bool {
	v := d.Uint32()
	if v > 1 {
		d.Fail(ErrInvalid)
	}
	return v == 1
}

// Enum reads an enumeration whose members are 0 to last.
func (d *Decoder) Enum(last uint32) uint32 {
	v := d.Uint32()
	if v > last {
		d.Fail(ErrInvalid)
		return 0
	}
	return v
}

// Fixed reads n bytes of fixed-length opaque data and its padding (RFC 4506
// section 4.9). The result aliases the message.
func (d *Decoder) Fixed(n int) []byte {
	if d.err != nil {
		return nil
	}
	padded := (n + 3) &^ 3
	if n < 0 || padded < n || len(d.buf)-d.off < padded {
		d.Fail(ErrShort)
		return nil
	}
	b := d.buf[d.off : d.off+n : d.off+n]
	d.off += padded
	return b
}

// Opaque reads variable-length opaque data of at most limit bytes (RFC 4506
// section 4.10). The result aliases the message.
func (d *Decoder) Opaque(limit int) []byte {
	n := d.Uint32()
	if d.err != nil {
		return nil
	}
	if uint64(n) > uint64(limit) {
		d.Fail(ErrTooLong)
		return nil
	}
	return d.Fixed(int(n))
}

// String reads a string of at most limit bytes (RFC 4506 section 4.11), as a
// copy.
func (d *Decoder) String(limit int) string { return string(d.Opaque(limit)) }

// Count reads the length of a variable-length array of at most limit elements
// of at least size bytes each (RFC 4506 section 4.13). A count that the rest
// of the message cannot hold is ErrShort: the caller may allocate for it.
func (d *Decoder) Count(limit, size int) int {
	n := d.Uint32()
	if d.err != nil {
		return 0
	}
	if uint64(n) > uint64(limit) {
		d.Fail(ErrTooLong)
		return 0
	}
	if uint64(n)*uint64(size) > uint64(len(d.buf)-d.off) {
		d.Fail(ErrShort)
		return 0
	}
	return int(n)
}
