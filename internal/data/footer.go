package data

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sort"
)

// The footer of a sealed segment makes any range of it verifiable without its
// records: one checksum for each page of the data, and the ranges in which no
// whole record lies.
//
//	table: crc(4) for each page
//	bad ranges: start(4) end(4) each
//	trailer: magic(8) format(4) pages(4) bad ranges(4) data length(4) segment(8) header crc(4) crc(4)
const (
	pageSize     = 16 << 10
	trailerLen   = 40
	footerMagic  = "DITTOEND"
	footerFormat = 1
	// maxBadRanges bounds the footer: a segment with more is damaged from
	// the last range to its end.
	maxBadRanges = 4096
	// maxSegment bounds everything that positions count.
	maxSegment = math.MaxUint32 - (64 << 20)
)

// byteRange is [start, end) of a segment file.
type byteRange struct{ start, end uint32 }

// pageTable verifies the bytes of a sealed segment.
type pageTable struct {
	id      SegmentID
	dataLen uint32 // header and records
	payload int64  // bytes of records, known after a scan only
	pages   []uint32
	bad     []byteRange // ascending, apart
}

func pageCount(dataLen uint32) int { return int((uint64(dataLen) + pageSize - 1) / pageSize) }

// footerLen is the size of the footer in bytes.
func (t *pageTable) footerLen() int { return 4*len(t.pages) + 8*len(t.bad) + trailerLen }

// memory is the approximate size of the table in memory.
func (t *pageTable) memory() int64 { return int64(4*len(t.pages) + 8*len(t.bad) + 128) }

// encode returns the footer; seed is that of the segment's records.
func (t *pageTable) encode(seed uint32) []byte {
	b := make([]byte, 0, t.footerLen())
	for _, c := range t.pages {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	for _, r := range t.bad {
		b = binary.BigEndian.AppendUint32(b, r.start)
		b = binary.BigEndian.AppendUint32(b, r.end)
	}
	b = append(b, footerMagic...)
	b = binary.BigEndian.AppendUint32(b, footerFormat)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.pages)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.bad)))
	b = binary.BigEndian.AppendUint32(b, t.dataLen)
	b = binary.BigEndian.AppendUint64(b, uint64(t.id))
	b = binary.BigEndian.AppendUint32(b, seed)
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

// trailer holds what is needed to find and check the rest of the footer.
type trailer struct {
	pages, bad int
	dataLen    uint32
}

func (t trailer) footerLen() int { return 4*t.pages + 8*t.bad + trailerLen }

// decodeTrailer checks the last trailerLen bytes of a segment of size bytes.
func decodeTrailer(b []byte, id SegmentID, seed uint32, size int64) (trailer, error) {
	if len(b) != trailerLen || string(b[:8]) != footerMagic {
		return trailer{}, fmt.Errorf("segment %v has no footer: %w", id, ErrCorrupt)
	}
	if f := binary.BigEndian.Uint32(b[8:]); f != footerFormat {
		return trailer{}, fmt.Errorf("footer of segment %v has unknown format %d: %w", id, f, ErrCorrupt)
	}
	pages, bad := binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
	t := trailer{pages: int(pages), bad: int(bad), dataLen: binary.BigEndian.Uint32(b[20:])}
	switch {
	case SegmentID(binary.BigEndian.Uint64(b[24:])) != id, binary.BigEndian.Uint32(b[32:]) != seed:
		return trailer{}, fmt.Errorf("footer of segment %v belongs to another: %w", id, ErrCorrupt)
	case bad > maxBadRanges+1, t.dataLen > maxSegment, t.pages != pageCount(t.dataLen),
		int64(t.dataLen)+int64(t.footerLen()) != size:
		return trailer{}, fmt.Errorf("footer of segment %v has wrong lengths: %w", id, ErrCorrupt)
	}
	return t, nil
}

// decodeFooter reads the footer b of a segment of size bytes.
func decodeFooter(b []byte, id SegmentID, seed uint32, size int64) (*pageTable, error) {
	if len(b) < trailerLen {
		return nil, fmt.Errorf("segment %v has no footer: %w", id, ErrCorrupt)
	}
	tr, err := decodeTrailer(b[len(b)-trailerLen:], id, seed, size)
	if err != nil {
		return nil, err
	}
	if len(b) != tr.footerLen() || checksum(b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, fmt.Errorf("footer of segment %v is damaged: %w", id, ErrCorrupt)
	}
	t := &pageTable{id: id, dataLen: tr.dataLen, pages: make([]uint32, tr.pages)}
	for i := range t.pages {
		t.pages[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	b = b[4*tr.pages:]
	for i := range tr.bad {
		r := byteRange{binary.BigEndian.Uint32(b[8*i:]), binary.BigEndian.Uint32(b[8*i+4:])}
		if r.start >= r.end || r.end > t.dataLen || i > 0 && r.start < t.bad[i-1].end {
			return nil, fmt.Errorf("footer of segment %v has a wrong range: %w", id, ErrCorrupt)
		}
		t.bad = append(t.bad, r)
	}
	return t, nil
}

// covers returns the aligned range of bytes that must be read to verify
// [start, end), or an error if no whole records lie there.
func (t *pageTable) covers(start, end uint64) (lo, hi uint64, err error) {
	if start < segmentHeaderLen || end > uint64(t.dataLen) || start >= end {
		return 0, 0, fmt.Errorf("bytes %d to %d of segment %v do not exist: %w", start, end, t.id, ErrCorrupt)
	}
	i := sort.Search(len(t.bad), func(k int) bool { return uint64(t.bad[k].end) > start })
	if i < len(t.bad) && uint64(t.bad[i].start) < end {
		return 0, 0, fmt.Errorf("bytes %d to %d of segment %v were damaged before it was sealed: %w", start, end, t.id, ErrCorrupt)
	}
	lo = start / pageSize * pageSize
	hi = min((end+pageSize-1)/pageSize*pageSize, uint64(t.dataLen))
	return lo, hi, nil
}

// verify checks p, the bytes from the page boundary lo on, page by page.
func (t *pageTable) verify(p []byte, lo uint64) error {
	for i := int(lo / pageSize); len(p) > 0; i++ {
		n := min(len(p), pageSize)
		if crc32.Checksum(p[:n], castagnoli) != t.pages[i] {
			return fmt.Errorf("page %d of segment %v fails its checksum: %w", i, t.id, ErrCorrupt)
		}
		p = p[n:]
	}
	return nil
}

// segmentRecord is what the metadata store says of a sealed segment.
type segmentRecord struct {
	state     recordState
	size      int64  // of the whole object
	footerCRC uint32 // the last four bytes of the object
	payload   int64  // bytes of files, live or not
}

// recordState is the durable part of a segment's life.
type recordState uint8

const (
	// recordSealed: the file is complete, here or already in the store.
	recordSealed recordState = iota + 1
	// recordStored: the content store has the object.
	recordStored
	// recordDead: nothing refers to it; the object is being deleted.
	recordDead
)

const (
	segmentRecordFormat = 2
	segmentRecordLen    = 22
	// The format before had no payload.
	oldSegmentRecordFormat = 1
	oldSegmentRecordLen    = 14
)

func (r segmentRecord) encode() []byte {
	b := append(make([]byte, 0, segmentRecordLen), segmentRecordFormat, byte(r.state))
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	b = binary.BigEndian.AppendUint32(b, r.footerCRC)
	return binary.BigEndian.AppendUint64(b, uint64(r.payload))
}

func decodeSegmentRecord(b []byte) (segmentRecord, error) {
	old := len(b) == oldSegmentRecordLen && b[0] == oldSegmentRecordFormat
	if !old && (len(b) != segmentRecordLen || b[0] != segmentRecordFormat) {
		return segmentRecord{}, fmt.Errorf("segment record %x: %w", b, ErrCorrupt)
	}
	r := segmentRecord{
		state:     recordState(b[1]),
		size:      int64(binary.BigEndian.Uint64(b[2:])),
		footerCRC: binary.BigEndian.Uint32(b[10:]),
	}
	if r.payload = r.size; !old {
		r.payload = int64(binary.BigEndian.Uint64(b[14:]))
	}
	if r.payload < 0 || r.payload > r.size {
		return segmentRecord{}, fmt.Errorf("segment record %x: %w", b, ErrCorrupt)
	}
	if r.state < recordSealed || r.state > recordDead || r.size < segmentHeaderLen+trailerLen || r.size > math.MaxUint32 {
		return segmentRecord{}, fmt.Errorf("segment record %x: %w", b, ErrCorrupt)
	}
	return r, nil
}
