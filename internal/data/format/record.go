package format

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A segment file is a header, records, and once it is sealed a footer. All
// integers are big endian; checksums are CRC-32C.
//
//	header: magic(8) format(4) zero(4) instance(32) segment(8) zero(4) crc(4)
//	record: magic(4) length(4) inode(8) offset(8) unused(8) data crc(4) crc(4), bytes
//
// A record's header checksum begins with the segment's header checksum, so
// that records of another segment, found as user data, are not taken for this
// one's. The unused bytes are written as zeros; earlier versions counted records
// there, which nothing read.
const (
	HeaderLen       = 64 // of a segment, in bytes
	RecordHeaderLen = 40 // in bytes
	InstanceLen     = 32 // of the name of an instance, in hexadecimal digits

	headerMagic  = "DITTOSEG"
	headerFormat = 1
	recordMagic  = 0xd17705ec
)

// Castagnoli is the table of all checksums.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of p.
func Checksum(p []byte) uint32 { return crc32.Checksum(p, Castagnoli) }

// EncodeHeader returns the first bytes of a segment file; the last
// four of them are the seed of its records' checksums.
func EncodeHeader(id SegmentID, instance string) []byte {
	b := make([]byte, 0, HeaderLen)
	b = append(b, headerMagic...)
	b = binary.BigEndian.AppendUint32(b, headerFormat)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(b, instance...)
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint32(b, Checksum(b))
}

// RecordSeed is the seed of the record checksums of a segment.
func RecordSeed(id SegmentID, instance string) uint32 {
	h := EncodeHeader(id, instance)
	return binary.BigEndian.Uint32(h[HeaderLen-4:])
}

// checkHeader verifies that b begins the given segment.
func checkHeader(b []byte, id SegmentID, instance string) error {
	if len(b) < HeaderLen || string(b[:8]) != headerMagic {
		return fmt.Errorf("segment %v has no header: %w", id, ErrCorrupt)
	}
	if f := binary.BigEndian.Uint32(b[8:]); f != headerFormat {
		return fmt.Errorf("segment %v has unknown format %d: %w", id, f, ErrCorrupt)
	}
	if string(b[:HeaderLen]) != string(EncodeHeader(id, instance)) {
		return fmt.Errorf("segment %v has the header of another segment or a damaged one: %w", id, ErrCorrupt)
	}
	return nil
}

// Record describes one record of a segment; its bytes follow the header.
type Record struct {
	Inode, Off uint64
	Len        uint32 // of its bytes
	CRC        uint32 // of its bytes
}

// Encode writes the header into the first RecordHeaderLen bytes of b; seed is
// RecordSeed of the segment.
func (r Record) Encode(b []byte, seed uint32) {
	_ = b[RecordHeaderLen-1]
	binary.BigEndian.PutUint32(b, recordMagic)
	binary.BigEndian.PutUint32(b[4:], r.Len)
	binary.BigEndian.PutUint64(b[8:], r.Inode)
	binary.BigEndian.PutUint64(b[16:], r.Off)
	binary.BigEndian.PutUint64(b[24:], 0)
	binary.BigEndian.PutUint32(b[32:], r.CRC)
	binary.BigEndian.PutUint32(b[36:], crc32.Update(seed, Castagnoli, b[:36]))
}

// DecodeRecord reads a record header; false if b does not begin with one.
func DecodeRecord(b []byte, seed uint32) (Record, bool) {
	if len(b) < RecordHeaderLen || binary.BigEndian.Uint32(b) != recordMagic {
		return Record{}, false
	}
	if binary.BigEndian.Uint32(b[36:]) != crc32.Update(seed, Castagnoli, b[:36]) {
		return Record{}, false
	}
	r := Record{
		Len:   binary.BigEndian.Uint32(b[4:]),
		Inode: binary.BigEndian.Uint64(b[8:]),
		Off:   binary.BigEndian.Uint64(b[16:]),
		CRC:   binary.BigEndian.Uint32(b[32:]),
	}
	if r.Len == 0 || r.Len > MaxRecord || r.Off > MaxFileSize-uint64(r.Len) {
		return Record{}, false
	}
	return r, true
}
