package journal

import (
	"fmt"
	"hash/crc32"
	"sort"
	"sync"

	"github.com/dittofs/dittofs/internal/data/format"
)

// The footer that verifies a segment is made when it is sealed. Until then what
// is read from its file is verified by checksums that were made of the bytes in
// memory, before they were written, and never left it.

const (
	// partSize is the longest part of a record that has a checksum of its own,
	// in bytes: what clients read at least.
	partSize = 4 << 10
	// maxParts bounds the memory of an open segment's checksums to 3 MiB: one
	// with more parts, of many tiny records, is full.
	maxParts = 1 << 18
)

// recordSums are the checksums of an open segment. Safe for concurrent use,
// except that parts are added under appender.mu.
type recordSums struct {
	mu    sync.RWMutex
	parts []partSum // in the order of their places; those that are there never change
}

type partSum struct {
	pos, crc uint32
	n        uint16
}

func (p partSum) end() uint64 { return uint64(p.pos) + uint64(p.n) }

// add takes the checksums of a record of n bytes that will be written at pos.
func (r *recordSums) add(pos int64, n int, crcs []uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, crc := range crcs {
		at := i * partSize
		r.parts = append(r.parts, partSum{uint32(pos) + uint32(at), crc, uint16(min(n-at, partSize))})
	}
}

// full says whether the segment should take no more records.
func (r *recordSums) full(limit int) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.parts) >= limit
}

// read reads an extent into mem, which has room for the rest of its first and
// last part, and returns the part of mem that holds it, verified.
func (r *recordSums) read(read format.ReadAt, id format.SegmentID, e format.Extent, mem []byte) ([]byte, error) {
	parts := r.covers(uint64(e.Pos), uint64(e.Pos)+e.Len)
	if parts == nil {
		return nil, fmt.Errorf("bytes %d to %d of segment %v are of no record: %w",
			e.Pos, uint64(e.Pos)+e.Len, id, format.ErrCorrupt)
	}
	start := parts[0].pos
	p := mem[:parts[len(parts)-1].end()-uint64(start)]
	if _, err := read(p, int64(start)); err != nil {
		return nil, format.ReadError(err, id)
	}
	for _, part := range parts {
		if format.Checksum(p[part.pos-start:][:part.n]) != part.crc {
			return nil, fmt.Errorf("bytes %d to %d of segment %v fail their checksum: %w",
				part.pos, part.end(), id, format.ErrCorrupt)
		}
	}
	return p[e.Pos-start:][:e.Len], nil
}

// covers returns the parts in which [start, end) lies, nil if these are not
// bytes of one record.
func (r *recordSums) covers(start, end uint64) []partSum {
	r.mu.RLock()
	parts := r.parts
	r.mu.RUnlock()
	first := sort.Search(len(parts), func(i int) bool { return uint64(parts[i].pos) > start }) - 1
	if first < 0 || parts[first].end() <= start {
		return nil
	}
	last := first
	for parts[last].end() < end {
		if last+1 == len(parts) || uint64(parts[last+1].pos) != parts[last].end() {
			return nil
		}
		last++
	}
	return parts[first : last+1]
}

// appendSums appends the checksum of each part of a record's bytes to crcs, and
// returns that of all of them.
func appendSums(crcs []uint32, p []byte) ([]uint32, uint32) {
	var whole uint32
	for len(p) > partSize {
		part := format.Checksum(p[:partSize])
		crcs = append(crcs, part)
		whole = behindPart(whole) ^ part
		p = p[partSize:]
	}
	crcs = append(crcs, format.Checksum(p))
	return crcs, crc32.Update(whole, format.Castagnoli, p)
}

// sumBuffers are for the checksums of one record.
var sumBuffers = sync.Pool{New: func() any { return new([]uint32) }}

// partShift is what a checksum becomes when partSize zeros follow, for each value
// of each of its bytes. Checksums are linear: that of two parts is the first one's
// behind which zeros follow, and the second one's, added without carry.
var partShift = func() (table [4][256]uint32) {
	var zeros [partSize]byte
	for bit := range 32 {
		shifted := ^crc32.Update(^(uint32(1) << bit), format.Castagnoli, zeros[:])
		row := &table[bit/8]
		for i := range row {
			if i>>(bit%8)&1 == 1 {
				row[i] ^= shifted
			}
		}
	}
	return table
}()

func behindPart(crc uint32) uint32 {
	return partShift[0][crc&0xff] ^ partShift[1][crc>>8&0xff] ^ partShift[2][crc>>16&0xff] ^ partShift[3][crc>>24]
}
