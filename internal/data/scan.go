package data

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// scanSegment reads a segment file from its beginning and returns the table
// that verifies it: the data ends with the last whole record, and what lies
// between whole records is a bad range, as is a damaged header. Damage never
// stops the scan; it looks for the next record header, since records are
// written in parallel and one that failed or was cut off by a crash may lie
// before whole ones. each, if not nil, is called with every whole record and
// the position of its bytes. An error is one of reading.
func scanSegment(r io.ReaderAt, size int64, id SegmentID, instance string, each func(record, uint32)) (*pageTable, error) {
	size = min(size, maxSegment)
	hash := &pageHasher{}
	src := io.TeeReader(io.NewSectionReader(r, 0, size), hash)
	s := scanner{in: bufio.NewReaderSize(src, 256<<10), each: each, good: segmentHeaderLen}
	s.seed = segmentSeed(id, instance)
	header, err := s.in.Peek(segmentHeaderLen)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if checkSegmentHeader(header, id, instance) != nil {
		s.bad = append(s.bad, byteRange{0, segmentHeaderLen})
	}
	if err := s.skip(len(header)); err != nil {
		return nil, err
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	t := &pageTable{id: id, dataLen: uint32(s.good), payload: s.payload, pages: hash.pages, bad: s.bad}
	return t, t.trimPages(r)
}

// trimPages makes the table end with the data.
func (t *pageTable) trimPages(r io.ReaderAt) error {
	n := pageCount(t.dataLen)
	t.pages = append(make([]uint32, 0, n), t.pages[:min(n, len(t.pages))]...)
	last := make([]byte, uint64(t.dataLen)-uint64(n-1)*pageSize)
	if _, err := r.ReadAt(last, int64(n-1)*pageSize); err != nil && err != io.EOF {
		return err
	}
	t.pages = append(t.pages[:n-1], checksum(last))
	return nil
}

// scanner walks the records of a segment.
type scanner struct {
	in   *bufio.Reader
	seed uint32
	pos  int64 // of the next byte of in
	good int64 // end of the last whole record
	// payload is the sum of the bytes of whole records.
	payload int64
	bad     []byteRange
	each    func(record, uint32)
}

func (s *scanner) run() error {
	for {
		head, err := s.in.Peek(recordHeaderLen)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		rec, ok := decodeRecord(head, s.seed)
		if !ok {
			if err := s.resync(); err != nil {
				return err
			}
			continue
		}
		start := s.pos
		whole, err := s.data(rec)
		if err != nil {
			return err
		}
		if whole {
			s.record(rec, start)
		}
	}
}

// data reads a record and says whether its bytes have the right checksum.
func (s *scanner) data(rec record) (bool, error) {
	if err := s.skip(recordHeaderLen); err != nil {
		return false, err
	}
	var crc uint32
	for left := int(rec.length); left > 0; {
		p, err := s.in.Peek(min(left, 64<<10))
		if err != nil && err != io.EOF {
			return false, err
		}
		if len(p) == 0 {
			return false, nil
		}
		crc = crc32.Update(crc, castagnoli, p)
		left -= len(p)
		if err := s.skip(len(p)); err != nil {
			return false, err
		}
	}
	return crc == rec.crc, nil
}

// record notes a whole record that begins at start.
func (s *scanner) record(rec record, start int64) {
	if start > s.good && len(s.bad) <= maxBadRanges {
		s.bad = append(s.bad, byteRange{uint32(s.good), uint32(start)})
	}
	if len(s.bad) > maxBadRanges {
		s.bad[maxBadRanges].end = uint32(s.pos)
	}
	s.good = s.pos
	s.payload += int64(rec.length)
	if s.each != nil {
		s.each(rec, uint32(start+recordHeaderLen))
	}
}

// resync moves on to the next place that may be a record header.
func (s *scanner) resync() error {
	if err := s.skip(1); err != nil {
		return err
	}
	var magic [4]byte
	binary.BigEndian.PutUint32(magic[:], recordMagic)
	for {
		p, err := s.in.Peek(4)
		if err == io.EOF {
			return s.skip(len(p))
		}
		if err != nil {
			return err
		}
		p, _ = s.in.Peek(s.in.Buffered())
		if i := bytes.Index(p, magic[:]); i >= 0 {
			return s.skip(i)
		}
		if err := s.skip(len(p) - 3); err != nil {
			return err
		}
	}
}

func (s *scanner) skip(n int) error {
	n, err := s.in.Discard(n)
	s.pos += int64(n)
	if err == io.EOF {
		return nil
	}
	return err
}

// pageHasher computes the checksum of each page of what is written to it.
type pageHasher struct {
	pages []uint32
	fill  int // bytes of the last page
}

func (h *pageHasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if h.fill == 0 {
			h.pages = append(h.pages, 0)
		}
		part := p[:min(len(p), pageSize-h.fill)]
		last := len(h.pages) - 1
		h.pages[last] = crc32.Update(h.pages[last], castagnoli, part)
		h.fill = (h.fill + len(part)) % pageSize
		p = p[len(part):]
	}
	return n, nil
}
