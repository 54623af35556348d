package format

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Scan reads a segment file from its beginning and returns the footer
// that verifies it: the data ends with the last whole record, and what lies
// between whole records is a bad range, as is a damaged header. Damage never
// stops the scan; it looks for the next record header, since records are
// written in parallel and one that failed or was cut off by a crash may lie
// before whole ones. each, if not nil, is called with every whole record and
// the position of its bytes. An error is one of reading.
func Scan(r io.ReaderAt, size int64, id SegmentID, instance string, each func(Record, uint32)) (*Footer, error) {
	size = min(size, maxSegment)
	s := scanner{in: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 256<<10), each: each}
	s.seed = RecordSeed(id, instance)
	header, err := s.in.Peek(HeaderLen)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if checkHeader(header, id, instance) != nil {
		s.bad = append(s.bad, Range{0, HeaderLen})
	}
	missing := HeaderLen - len(header)
	if err := s.skip(len(header)); err != nil {
		return nil, err
	}
	s.hash.write(make([]byte, missing))
	s.whole(HeaderLen)
	if err := s.run(); err != nil {
		return nil, err
	}
	blocks := append([]uint32(nil), s.hash.blocks[:blockCount(uint32(s.good))]...)
	blocks[len(blocks)-1] = s.last
	return &Footer{ID: id, DataLen: uint32(s.good), Payload: s.payload, Blocks: blocks, Bad: s.bad}, nil
}

// scanner walks the records of a segment. The checksums of blocks are of the very
// bytes whose records were verified: nothing is read twice.
type scanner struct {
	in   *bufio.Reader
	hash blockHasher // of all bytes before pos
	seed uint32
	pos  int64  // of the next byte of in
	good int64  // end of the last whole record
	last uint32 // checksum of the last block up to there
	// payload is the sum of the bytes of whole records.
	payload int64
	bad     []Range
	each    func(Record, uint32)
}

func (s *scanner) run() error {
	for {
		head, err := s.in.Peek(RecordHeaderLen)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		rec, ok := DecodeRecord(head, s.seed)
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
func (s *scanner) data(rec Record) (bool, error) {
	if err := s.skip(RecordHeaderLen); err != nil {
		return false, err
	}
	var crc uint32
	for left := int(rec.Len); left > 0; {
		p, err := s.in.Peek(min(left, 64<<10))
		if err != nil && err != io.EOF {
			return false, err
		}
		if len(p) == 0 {
			return false, nil
		}
		crc = crc32.Update(crc, Castagnoli, p)
		left -= len(p)
		if err := s.skip(len(p)); err != nil {
			return false, err
		}
	}
	return crc == rec.CRC, nil
}

// record notes a whole record that begins at start.
func (s *scanner) record(rec Record, start int64) {
	if start > s.good && len(s.bad) <= maxBadRanges {
		s.bad = append(s.bad, Range{uint32(s.good), uint32(start)})
	}
	if len(s.bad) > maxBadRanges {
		s.bad[maxBadRanges].End = uint32(s.pos)
	}
	s.whole(s.pos)
	s.payload += int64(rec.Len)
	if s.each != nil {
		s.each(rec, uint32(start+RecordHeaderLen))
	}
}

// whole notes that the last whole record ends at end, up to where everything is
// hashed.
func (s *scanner) whole(end int64) {
	s.good = end
	s.last = s.hash.blocks[len(s.hash.blocks)-1]
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

// skip moves over bytes that fit into the buffer, fewer at the end of the file.
func (s *scanner) skip(n int) error {
	p, err := s.in.Peek(n)
	if err != nil && err != io.EOF {
		return err
	}
	s.hash.write(p)
	s.pos += int64(len(p))
	_, err = s.in.Discard(len(p))
	return err
}

// blockHasher computes the checksum of each block of what is written to it.
type blockHasher struct {
	blocks []uint32
	fill   int // bytes of the last block
}

func (h *blockHasher) write(p []byte) {
	for len(p) > 0 {
		if h.fill == 0 {
			h.blocks = append(h.blocks, 0)
		}
		part := p[:min(len(p), BlockSize-h.fill)]
		last := len(h.blocks) - 1
		h.blocks[last] = crc32.Update(h.blocks[last], Castagnoli, part)
		h.fill = (h.fill + len(part)) % BlockSize
		p = p[len(part):]
	}
}
