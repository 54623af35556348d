package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

type readAt func(p []byte, off int64) (int, error)

// readPages reads and verifies the pages in which the extent lies.
func readPages(read readAt, t *pageTable, e Extent, mem []byte) ([]byte, error) {
	start := uint64(e.Pos)
	lo, hi, err := t.covers(start, start+e.Len)
	if err != nil {
		return nil, err
	}
	p := mem[:hi-lo]
	if _, err := read(p, int64(lo)); err != nil {
		return nil, readError(err, t.id)
	}
	if err := t.verify(p, lo); err != nil {
		return nil, err
	}
	return p[start-lo:][:e.Len], nil
}

// readTable reads the footer of a sealed segment and checks that it is the
// one that was written when the segment was sealed.
func readTable(read readAt, id SegmentID, entry segmentRecord, instance string) (*pageTable, error) {
	seed := segmentSeed(id, instance)
	// Nearly always the footer has no bad ranges, and is here with one read.
	likely := min(entry.size, int64(4*pageCount(uint32(entry.size))+trailerLen))
	end := make([]byte, likely)
	if _, err := read(end, entry.size-likely); err != nil {
		return nil, readError(err, id)
	}
	tr, err := decodeTrailer(end[likely-trailerLen:], id, seed, entry.size)
	if err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(end[likely-4:]) != entry.footerCRC {
		return nil, fmt.Errorf("segment %v is not the one that was sealed: %w", id, ErrCorrupt)
	}
	footer := end[max(0, likely-int64(tr.footerLen())):]
	if len(footer) < tr.footerLen() {
		footer = make([]byte, tr.footerLen())
		if _, err := read(footer, int64(tr.dataLen)); err != nil {
			return nil, readError(err, id)
		}
	}
	return decodeFooter(footer, id, seed, entry.size)
}

// readError is the error of a read in a segment; one beyond its end is ErrCorrupt.
func readError(err error, id SegmentID) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("segment %v: %w: %w", id, err, ErrCorrupt)
	}
	return fmt.Errorf("segment %v: %w", id, err)
}

// footerChecksum is the last four bytes of an object.
func footerChecksum(footer []byte) uint32 {
	return binary.BigEndian.Uint32(footer[len(footer)-4:])
}
