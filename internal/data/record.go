package data

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
	segmentHeaderLen = 64
	recordHeaderLen  = 40
	segmentMagic     = "DITTOSEG"
	segmentFormat    = 1
	recordMagic      = 0xd17705ec
	instanceLen      = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// encodeSegmentHeader returns the first bytes of a segment file; the last
// four of them are the seed of its records' checksums.
func encodeSegmentHeader(id SegmentID, instance string) []byte {
	b := make([]byte, 0, segmentHeaderLen)
	b = append(b, segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, segmentFormat)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(b, instance...)
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

// segmentSeed is the seed of the record checksums of a segment.
func segmentSeed(id SegmentID, instance string) uint32 {
	h := encodeSegmentHeader(id, instance)
	return binary.BigEndian.Uint32(h[segmentHeaderLen-4:])
}

// checkSegmentHeader verifies that b begins the given segment.
func checkSegmentHeader(b []byte, id SegmentID, instance string) error {
	if len(b) < segmentHeaderLen || string(b[:8]) != segmentMagic {
		return fmt.Errorf("segment %v has no header: %w", id, ErrCorrupt)
	}
	if f := binary.BigEndian.Uint32(b[8:]); f != segmentFormat {
		return fmt.Errorf("segment %v has unknown format %d: %w", id, f, ErrCorrupt)
	}
	if string(b[:segmentHeaderLen]) != string(encodeSegmentHeader(id, instance)) {
		return fmt.Errorf("segment %v has the header of another segment or a damaged one: %w", id, ErrCorrupt)
	}
	return nil
}

// record describes one record of a segment; its bytes follow the header.
type record struct {
	ino, off uint64
	length   uint32
	crc      uint32
}

func (r record) encode(b []byte, seed uint32) {
	_ = b[recordHeaderLen-1]
	binary.BigEndian.PutUint32(b, recordMagic)
	binary.BigEndian.PutUint32(b[4:], r.length)
	binary.BigEndian.PutUint64(b[8:], r.ino)
	binary.BigEndian.PutUint64(b[16:], r.off)
	binary.BigEndian.PutUint64(b[24:], 0)
	binary.BigEndian.PutUint32(b[32:], r.crc)
	binary.BigEndian.PutUint32(b[36:], crc32.Update(seed, castagnoli, b[:36]))
}

// decodeRecord reads a record header; false if b does not begin with one.
func decodeRecord(b []byte, seed uint32) (record, bool) {
	if len(b) < recordHeaderLen || binary.BigEndian.Uint32(b) != recordMagic {
		return record{}, false
	}
	if binary.BigEndian.Uint32(b[36:]) != crc32.Update(seed, castagnoli, b[:36]) {
		return record{}, false
	}
	r := record{
		length: binary.BigEndian.Uint32(b[4:]),
		ino:    binary.BigEndian.Uint64(b[8:]),
		off:    binary.BigEndian.Uint64(b[16:]),
		crc:    binary.BigEndian.Uint32(b[32:]),
	}
	if r.length == 0 || r.length > MaxRecord || r.off > MaxFileSize-uint64(r.length) {
		return record{}, false
	}
	return r, true
}
