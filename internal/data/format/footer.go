package format

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sort"
)

// The footer of a sealed segment makes any range of it verifiable without its
// records: one checksum for each block of the data, and the ranges in which no
// whole record lies.
//
//	table: crc(4) for each block
//	bad ranges: start(4) end(4) each
//	trailer: magic(8) format(4) blocks(4) bad ranges(4) data length(4) segment(8) header crc(4) crc(4)
const (
	BlockSize = 16 << 10 // in bytes

	trailerLen   = 40
	footerMagic  = "DITTOEND"
	footerFormat = 1
	// maxBadRanges bounds the footer: a segment with more is damaged from
	// the last range to its end.
	maxBadRanges = 4096
	// maxSegment bounds everything that positions count.
	maxSegment = math.MaxUint32 - (64 << 20)
)

// Range is [start, end) of a segment file.
type Range struct{ Start, End uint32 }

// Footer verifies the bytes of a sealed segment.
type Footer struct {
	ID      SegmentID
	DataLen uint32   // header and records
	Payload int64    // bytes of records, known after a scan only
	Blocks  []uint32 // their checksums
	Bad     []Range  // ascending, apart
}

func blockCount(dataLen uint32) int { return int((uint64(dataLen) + BlockSize - 1) / BlockSize) }

// Len is the size of the footer in bytes.
func (f *Footer) Len() int { return 4*len(f.Blocks) + 8*len(f.Bad) + trailerLen }

// Memory is the approximate size of the footer in memory.
func (f *Footer) Memory() int64 { return int64(4*len(f.Blocks) + 8*len(f.Bad) + 128) }

// Encode returns the footer; seed is that of the segment's records.
func (f *Footer) Encode(seed uint32) []byte {
	b := make([]byte, 0, f.Len())
	for _, c := range f.Blocks {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	for _, r := range f.Bad {
		b = binary.BigEndian.AppendUint32(b, r.Start)
		b = binary.BigEndian.AppendUint32(b, r.End)
	}
	b = append(b, footerMagic...)
	b = binary.BigEndian.AppendUint32(b, footerFormat)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Blocks)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Bad)))
	b = binary.BigEndian.AppendUint32(b, f.DataLen)
	b = binary.BigEndian.AppendUint64(b, uint64(f.ID))
	b = binary.BigEndian.AppendUint32(b, seed)
	return binary.BigEndian.AppendUint32(b, Checksum(b))
}

// trailer holds what is needed to find and check the rest of the footer.
type trailer struct {
	blocks, bad int
	dataLen     uint32
}

func (t trailer) footerLen() int { return 4*t.blocks + 8*t.bad + trailerLen }

// decodeTrailer checks the last trailerLen bytes of a segment of size bytes.
func decodeTrailer(b []byte, id SegmentID, seed uint32, size int64) (trailer, error) {
	if len(b) != trailerLen || string(b[:8]) != footerMagic {
		return trailer{}, fmt.Errorf("segment %v has no footer: %w", id, ErrCorrupt)
	}
	if f := binary.BigEndian.Uint32(b[8:]); f != footerFormat {
		return trailer{}, fmt.Errorf("footer of segment %v has unknown format %d: %w", id, f, ErrCorrupt)
	}
	blocks, bad := binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
	t := trailer{blocks: int(blocks), bad: int(bad), dataLen: binary.BigEndian.Uint32(b[20:])}
	switch {
	case SegmentID(binary.BigEndian.Uint64(b[24:])) != id, binary.BigEndian.Uint32(b[32:]) != seed:
		return trailer{}, fmt.Errorf("footer of segment %v belongs to another: %w", id, ErrCorrupt)
	case bad > maxBadRanges+1, t.dataLen > maxSegment, t.blocks != blockCount(t.dataLen),
		int64(t.dataLen)+int64(t.footerLen()) != size:
		return trailer{}, fmt.Errorf("footer of segment %v has wrong lengths: %w", id, ErrCorrupt)
	}
	return t, nil
}

// decodeFooter reads the footer b of a segment of size bytes.
func decodeFooter(b []byte, id SegmentID, seed uint32, size int64) (*Footer, error) {
	if len(b) < trailerLen {
		return nil, fmt.Errorf("segment %v has no footer: %w", id, ErrCorrupt)
	}
	tr, err := decodeTrailer(b[len(b)-trailerLen:], id, seed, size)
	if err != nil {
		return nil, err
	}
	if len(b) != tr.footerLen() || Checksum(b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, fmt.Errorf("footer of segment %v is damaged: %w", id, ErrCorrupt)
	}
	f := &Footer{ID: id, DataLen: tr.dataLen, Blocks: make([]uint32, tr.blocks)}
	for i := range f.Blocks {
		f.Blocks[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	b = b[4*tr.blocks:]
	for i := range tr.bad {
		r := Range{binary.BigEndian.Uint32(b[8*i:]), binary.BigEndian.Uint32(b[8*i+4:])}
		if r.Start >= r.End || r.End > f.DataLen || i > 0 && r.Start < f.Bad[i-1].End {
			return nil, fmt.Errorf("footer of segment %v has a wrong range: %w", id, ErrCorrupt)
		}
		f.Bad = append(f.Bad, r)
	}
	return f, nil
}

// Covers returns the aligned range of bytes that must be read to verify
// [start, end), or an error if no whole records lie there.
func (f *Footer) Covers(start, end uint64) (lo, hi uint64, err error) {
	if start < HeaderLen || end > uint64(f.DataLen) || start >= end {
		return 0, 0, fmt.Errorf("bytes %d to %d of segment %v do not exist: %w", start, end, f.ID, ErrCorrupt)
	}
	i := sort.Search(len(f.Bad), func(k int) bool { return uint64(f.Bad[k].End) > start })
	if i < len(f.Bad) && uint64(f.Bad[i].Start) < end {
		return 0, 0, fmt.Errorf("bytes %d to %d of segment %v were damaged before it was sealed: %w",
			start, end, f.ID, ErrCorrupt)
	}
	lo = start / BlockSize * BlockSize
	hi = min((end+BlockSize-1)/BlockSize*BlockSize, uint64(f.DataLen))
	return lo, hi, nil
}

// Verify checks p, the bytes from the block boundary lo on, block by block.
func (f *Footer) Verify(p []byte, lo uint64) error {
	for i := int(lo / BlockSize); len(p) > 0; i++ {
		n := min(len(p), BlockSize)
		if crc32.Checksum(p[:n], Castagnoli) != f.Blocks[i] {
			return fmt.Errorf("page %d of segment %v fails its checksum: %w", i, f.ID, ErrCorrupt)
		}
		p = p[n:]
	}
	return nil
}
