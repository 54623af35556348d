package data

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/printable"
)

// look is one look into a segment.
type look struct {
	*verifier
	g       *examined
	rec     segmentRecord
	extents []placed
	table   *pageTable // of a sealed one

	next    int            // of extents, to be found in a record
	found   []bool         // of extents
	strange map[int]record // of extents: the record that lies there
	damaged []byteRange    // that fail their checksum, ascending, apart
	wrong   []wrong
	faults  []segmentFault
}

// run fills wrong and faults.
func (l *look) run() error {
	l.found, l.strange = make([]bool, len(l.extents)), map[int]record{}
	f, err := l.Source.open(l.ctx, l.g.id, l.rec)
	if whole := (*segmentFault)(nil); errors.As(err, &whole) {
		l.blameAll(*whole)
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	l.seen.Segments++
	if l.rec.state == 0 {
		_, err := scanSegment(f, f.size, l.g.id, l.Source.Instance, l.meet)
		l.seen.Bytes += f.size
		l.blame()
		return err
	}
	l.table, err = readTable(f.ReadAt, l.g.id, l.rec, l.Source.Instance)
	if err != nil && l.ctx.Err() == nil && fault.Of(err) == nil { // the store gave an answer
		l.blameAll(segmentFault{FaultFooter, err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case l.Deep:
		err = l.readAll(f)
	case f.near:
		err = l.readHeaders(f)
	default:
		for i := range l.found {
			l.found[i] = true
		}
	}
	l.blame()
	return err
}

// blameAll blames the whole segment.
func (l *look) blameAll(f segmentFault) {
	l.faults = append(l.faults, f)
	for _, e := range l.extents {
		l.wrong = append(l.wrong, wrong{e, f.kind, f.what})
	}
}

// blame decides what is wrong with each extent.
func (l *look) blame() {
	for _, r := range l.damaged {
		what := fmt.Sprintf("bytes %d to %d of segment %v fail their checksum", r.start, r.end, l.g.id)
		if l.usedByFiles(r) {
			l.faults = append(l.faults, segmentFault{FaultPage, what})
		} else {
			l.faults = append(l.faults, segmentFault{FaultUnusedPage, what + "; no file has bytes there"})
		}
	}
	for i, e := range l.extents {
		if kind, why := l.verdict(i, e); kind != "" {
			l.wrong = append(l.wrong, wrong{e, kind, why})
		}
	}
}

// usedByFiles says whether a damaged range costs a file bytes. That of a segment
// without any file does count: a backup may refer to it.
func (l *look) usedByFiles(r byteRange) bool {
	return len(l.extents) == 0 || slices.ContainsFunc(l.extents, func(e placed) bool {
		return e.pos < r.end && uint64(r.start) < uint64(e.pos)+uint64(e.len)
	})
}

func (l *look) verdict(i int, e placed) (kind, why string) {
	start, end := uint64(e.pos), uint64(e.pos)+uint64(e.len)
	if l.table != nil {
		if _, _, err := l.table.covers(start, end); err != nil {
			return FaultSealed, err.Error()
		}
	}
	if r, ok := overlap(l.damaged, start, end); ok {
		return FaultPage, fmt.Sprintf("bytes %d to %d of segment %v fail their checksum", r.start, r.end, l.g.id)
	}
	if l.found[i] {
		return "", ""
	}
	if r, ok := l.strange[i]; ok {
		return FaultRecord, fmt.Sprintf("byte %d of segment %v belongs to inode %d, offset %d", e.pos, l.g.id, r.ino, r.off)
	}
	// The header of its record may be what is damaged; its own bytes are right.
	if _, ok := overlap(l.damaged, start-min(start, MaxRecord+recordHeaderLen), start); ok {
		return "", ""
	}
	return FaultRecord, fmt.Sprintf("no whole record lies at byte %d of segment %v", e.pos, l.g.id)
}

// overlap returns one of the ranges that has bytes of [start, end).
func overlap(ranges []byteRange, start, end uint64) (byteRange, bool) {
	for _, r := range ranges {
		if uint64(r.start) < end && start < uint64(r.end) {
			return r, true
		}
	}
	return byteRange{}, false
}

// meet finds the extents that lie in a record, whose bytes begin at pos.
// Records come in the order of their places.
func (l *look) meet(rec record, pos uint32) {
	end := uint64(pos) + uint64(rec.length)
	for ; l.next < len(l.extents) && uint64(l.extents[l.next].pos) < end; l.next++ {
		e := l.extents[l.next]
		if e.pos < pos || uint64(e.pos)+uint64(e.len) > end {
			continue
		}
		if e.ino == rec.ino && e.off == rec.off+uint64(e.pos-pos) {
			l.found[l.next] = true
		} else {
			l.strange[l.next] = rec
		}
	}
}

// readHeaders walks from record to record; if that leads nowhere, it reads
// everything.
func (l *look) readHeaders(f *openSegment) error {
	head := make([]byte, recordHeaderLen)
	w := l.walk()
	for w.pos+recordHeaderLen <= int64(l.table.dataLen) {
		if w.skipBad() {
			continue
		}
		if _, err := f.ReadAt(head, w.pos); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		rec, ok := decodeRecord(head, w.seed)
		if !ok {
			return l.readAll(f)
		}
		l.meet(rec, uint32(w.pos+recordHeaderLen))
		w.pos += recordHeaderLen + int64(rec.length)
	}
	return l.ctx.Err()
}

// readAll reads all data, compares it with the table and follows the records.
func (l *look) readAll(f *openSegment) error {
	l.next = 0
	clear(l.found)
	clear(l.strange)
	r := &deepReader{ctx: l.ctx, from: f, rate: l.rate}
	w := l.walk()
	for at := int64(0); at < int64(l.table.dataLen); at += deepChunk {
		chunk, err := r.read(at, int(min(deepChunk, int64(l.table.dataLen)-at)))
		if err != nil {
			return err
		}
		l.seen.Bytes += int64(len(chunk))
		l.compare(chunk, at)
		w.feed(chunk, at, l.meet)
	}
	return nil
}

// compare notes the pages of a chunk that fail their checksum.
func (l *look) compare(chunk []byte, at int64) {
	for i := 0; i < len(chunk); i += pageSize {
		p := chunk[i:min(i+pageSize, len(chunk))]
		start := at + int64(i)
		if checksum(p) == l.table.pages[start/pageSize] {
			continue
		}
		r := byteRange{uint32(start), uint32(start) + uint32(len(p))}
		if n := len(l.damaged); n > 0 && l.damaged[n-1].end == r.start {
			l.damaged[n-1].end = r.end
		} else {
			l.damaged = append(l.damaged, r)
		}
	}
}

// walker goes from record to record through the data of a sealed segment.
type walker struct {
	seed uint32
	pos  int64 // of the next header
	bad  []byteRange
	tail []byte // the end of what was fed: the beginning of a header, perhaps
}

func (l *look) walk() *walker {
	return &walker{seed: segmentSeed(l.g.id, l.Source.Instance), pos: segmentHeaderLen, bad: l.table.bad}
}

// skipBad moves on if there is no record where it is.
func (w *walker) skipBad() bool {
	for len(w.bad) > 0 && int64(w.bad[0].end) <= w.pos {
		w.bad = w.bad[1:]
	}
	if len(w.bad) == 0 || int64(w.bad[0].start) > w.pos {
		return false
	}
	w.pos = int64(w.bad[0].end)
	return true
}

// feed takes the next bytes, those from at on. What is no header where one
// should be is damaged: it looks for the next.
func (w *walker) feed(chunk []byte, at int64, each func(record, uint32)) {
	base := at - int64(len(w.tail))
	buf := append(w.tail, chunk...)
	end := base + int64(len(buf))
	magic := binary.BigEndian.AppendUint32(nil, recordMagic)
	for w.pos+recordHeaderLen <= end {
		if w.skipBad() {
			continue
		}
		rest := buf[w.pos-base:]
		if rec, ok := decodeRecord(rest, w.seed); ok {
			each(rec, uint32(w.pos+recordHeaderLen))
			w.pos += recordHeaderLen + int64(rec.length)
		} else if i := bytes.Index(rest[1:], magic); i >= 0 {
			w.pos += 1 + int64(i)
		} else {
			w.pos = max(w.pos+1, end-recordHeaderLen+1)
		}
	}
	w.tail = append([]byte(nil), buf[len(buf)-min(len(buf), recordHeaderLen-1):]...)
}

// report tells what was found: each fault of the segment, with what it costs,
// and one fault for each file.
func (l *look) report() {
	var lost int64
	for _, w := range l.wrong {
		lost += int64(w.len)
	}
	for _, f := range l.faults {
		if f.kind != FaultPage && f.kind != FaultUnusedPage && lost > 0 {
			f.what = fmt.Sprintf("%s; %s of files %s lost", f.what, printable.Count(lost, "byte"), printable.Number(lost, "is", "are"))
		}
		unused := l.g.found == 0
		if unused {
			f.what += "; no file has bytes in this segment, which is about to be deleted or is kept for a backup"
		}
		l.Report(Fault{Kind: f.kind, Segment: l.g.id, Unused: unused, What: f.what})
	}
	slices.SortFunc(l.wrong, func(a, b wrong) int {
		return cmp.Or(cmp.Compare(a.ino, b.ino), cmp.Compare(a.kind, b.kind), cmp.Compare(a.off, b.off))
	})
	for len(l.wrong) > 0 {
		first, n := l.wrong[0], 1
		bytes := uint64(first.len)
		for ; n < len(l.wrong) && l.wrong[n].ino == first.ino && l.wrong[n].kind == first.kind; n++ {
			bytes += uint64(l.wrong[n].len)
		}
		last := l.wrong[n-1]
		what := fmt.Sprintf("%s from offset %d on cannot be read: %s", printable.Count(bytes, "byte"), first.off, first.why)
		if n > 1 {
			what = fmt.Sprintf("%d bytes between the offsets %d and %d cannot be read, in %d pieces: %s", bytes, first.off, last.off+uint64(last.len), n, first.why)
		}
		l.Report(Fault{Kind: first.kind, Inode: first.ino, Off: first.off, Len: bytes, Segment: l.g.id, What: what})
		l.wrong = l.wrong[n:]
	}
}
