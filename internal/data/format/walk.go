package format

import (
	"bytes"
	"encoding/binary"
)

// Walker goes from record to record through the data of a sealed segment. Its
// user has the bytes: it asks for the Place of the next header and gives them
// to Take, or gives all bytes of the segment to Feed.
type Walker struct {
	seed uint32
	pos  int64 // of the next header
	end  int64 // of the data
	bad  []Range
	tail []byte // the end of what was fed: the beginning of a header, perhaps
}

// NewWalker begins at the first record of a segment of an instance.
func NewWalker(f *Footer, instance string) *Walker {
	return &Walker{seed: RecordSeed(f.ID, instance), pos: HeaderLen, end: int64(f.DataLen), bad: f.Bad}
}

// Place is where the next header begins; false at the end of the data. It is
// beyond the ranges in which the footer says that no whole record lies.
func (w *Walker) Place() (pos int64, ok bool) {
	for w.skipBad() {
	}
	return w.pos, w.pos < w.end
}

// Take reads the header at Place, and goes on behind its record, whose bytes
// begin at pos. False says that b does not begin with a header whose record
// ends within the data; then the place stays.
func (w *Walker) Take(b []byte) (rec Record, pos uint32, ok bool) {
	rec, ok = DecodeRecord(b, w.seed)
	next := w.pos + RecordHeaderLen + int64(rec.Len)
	if !ok || next > w.end {
		return Record{}, 0, false
	}
	pos = uint32(w.pos + RecordHeaderLen)
	w.pos = next
	return rec, pos, true
}

// skipBad moves on if there is no record where it is.
func (w *Walker) skipBad() bool {
	for len(w.bad) > 0 && int64(w.bad[0].End) <= w.pos {
		w.bad = w.bad[1:]
	}
	if len(w.bad) == 0 || int64(w.bad[0].Start) > w.pos {
		return false
	}
	w.pos = int64(w.bad[0].End)
	return true
}

// Feed takes the next bytes of the data, those from at on, and calls each with
// the records whose headers are in them. What is no header where one should be
// is damaged: it looks for the next.
func (w *Walker) Feed(chunk []byte, at int64, each func(rec Record, pos uint32)) {
	base := at - int64(len(w.tail))
	buf := append(w.tail, chunk...)
	end := base + int64(len(buf))
	magic := binary.BigEndian.AppendUint32(nil, recordMagic)
	for w.pos+RecordHeaderLen <= end {
		if w.skipBad() {
			continue
		}
		rest := buf[w.pos-base:]
		if rec, pos, ok := w.Take(rest); ok {
			each(rec, pos)
		} else if i := bytes.Index(rest[1:], magic); i >= 0 {
			w.pos += 1 + int64(i)
		} else {
			w.pos = max(w.pos+1, end-RecordHeaderLen+1)
		}
	}
	w.tail = append([]byte(nil), buf[len(buf)-min(len(buf), RecordHeaderLen-1):]...)
}
