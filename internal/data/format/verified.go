package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ReadAt is io.ReaderAt's method: n == len(p), or an error.
type ReadAt func(p []byte, off int64) (int, error)

// ReadExtent reads and verifies the blocks in which the extent lies into mem,
// which has room for the rest of the first and the last of them, and returns the
// part that is the extent's.
func ReadExtent(read ReadAt, f *Footer, e Extent, mem []byte) ([]byte, error) {
	start := uint64(e.Pos)
	lo, hi, err := f.Covers(start, start+e.Len)
	if err != nil {
		return nil, err
	}
	p := mem[:hi-lo]
	if _, err := read(p, int64(lo)); err != nil {
		return nil, ReadError(err, f.ID)
	}
	if err := f.Verify(p, lo); err != nil {
		return nil, err
	}
	return p[start-lo:][:e.Len], nil
}

// ReadFooter reads the footer of a sealed segment and checks that it is the
// one that was written when the segment was sealed.
func ReadFooter(read ReadAt, id SegmentID, entry SegmentEntry, instance string) (*Footer, error) {
	if entry.Size < HeaderLen+trailerLen {
		return nil, fmt.Errorf("segment %v of %d bytes: %w", id, entry.Size, ErrCorrupt)
	}
	seed := RecordSeed(id, instance)
	// Nearly always the footer has no bad ranges, and is here with one read.
	likely := min(entry.Size, int64(4*blockCount(uint32(entry.Size))+trailerLen))
	end := make([]byte, likely)
	if _, err := read(end, entry.Size-likely); err != nil {
		return nil, ReadError(err, id)
	}
	tr, err := decodeTrailer(end[likely-trailerLen:], id, seed, entry.Size)
	if err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(end[likely-4:]) != entry.FooterCRC {
		return nil, fmt.Errorf("segment %v is not the one that was sealed: %w", id, ErrCorrupt)
	}
	footer := end[max(0, likely-int64(tr.footerLen())):]
	if len(footer) < tr.footerLen() {
		footer = make([]byte, tr.footerLen())
		if _, err := read(footer, int64(tr.dataLen)); err != nil {
			return nil, ReadError(err, id)
		}
	}
	return decodeFooter(footer, id, seed, entry.Size)
}

// ReadError is the error of a read in a segment; one beyond its end is ErrCorrupt.
func ReadError(err error, id SegmentID) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("segment %v: %w: %w", id, err, ErrCorrupt)
	}
	return fmt.Errorf("segment %v: %w", id, err)
}

// FooterChecksum is the last four bytes of an object.
func FooterChecksum(footer []byte) uint32 {
	return binary.BigEndian.Uint32(footer[len(footer)-4:])
}
