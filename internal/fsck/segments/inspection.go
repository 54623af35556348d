package segments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/printable"
)

// inspection is one look into a segment.
type inspection struct {
	*verifier
	g       *examined
	rec     format.SegmentEntry
	extents []placed
	table   *format.Footer // of a sealed one

	next    int                   // of extents, to be found in a record
	found   []bool                // of extents
	strange map[int]format.Record // of extents: the record that lies there
	damaged []format.Range        // that fail their checksum, ascending, apart
	wrong   []wrong
	faults  []segmentFault
}

// run fills wrong and faults.
func (l *inspection) run(ctx context.Context) error {
	l.found, l.strange = make([]bool, len(l.extents)), map[int]format.Record{}
	f, err := l.Source.open(ctx, l.g.id, l.rec)
	if whole := (*segmentFault)(nil); errors.As(err, &whole) {
		l.blameAll(*whole)
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	l.seen.Segments++
	if l.rec.State == 0 {
		_, err := format.Scan(f.at(ctx), f.size, l.g.id, l.Source.Instance, l.meet)
		l.seen.Bytes += f.size
		l.blame()
		return err
	}
	l.table, err = format.ReadFooter(f.at(ctx).ReadAt, l.g.id, l.rec, l.Source.Instance)
	if err != nil && ctx.Err() == nil && fault.Of(err) == nil { // the store gave an answer
		l.blameAll(segmentFault{FaultFooter, err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case l.Deep:
		err = l.readAll(ctx, f)
	case f.near:
		err = l.readHeaders(ctx, f)
	default:
		for i := range l.found {
			l.found[i] = true
		}
	}
	l.blame()
	return err
}

// blameAll blames the whole segment.
func (l *inspection) blameAll(f segmentFault) {
	l.faults = append(l.faults, f)
	for _, e := range l.extents {
		l.wrong = append(l.wrong, wrong{e, f.kind, f.what})
	}
}

// blame decides what is wrong with each extent.
func (l *inspection) blame() {
	for _, r := range l.damaged {
		what := fmt.Sprintf("bytes %d to %d of segment %v fail their checksum", r.Start, r.End, l.g.id)
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
func (l *inspection) usedByFiles(r format.Range) bool {
	return len(l.extents) == 0 || slices.ContainsFunc(l.extents, func(e placed) bool {
		return e.pos < r.End && uint64(r.Start) < uint64(e.pos)+uint64(e.len)
	})
}

func (l *inspection) verdict(i int, e placed) (kind, why string) {
	start, end := uint64(e.pos), uint64(e.pos)+uint64(e.len)
	if l.table != nil {
		if _, _, err := l.table.Covers(start, end); err != nil {
			return FaultSealed, err.Error()
		}
	}
	if r, ok := overlap(l.damaged, start, end); ok {
		return FaultPage, fmt.Sprintf("bytes %d to %d of segment %v fail their checksum", r.Start, r.End, l.g.id)
	}
	if l.found[i] {
		return "", ""
	}
	if r, ok := l.strange[i]; ok {
		return FaultRecord, fmt.Sprintf("byte %d of segment %v belongs to inode %d, offset %d", e.pos, l.g.id, r.Inode, r.Off)
	}
	// The header of its record may be what is damaged; its own bytes are right.
	if _, ok := overlap(l.damaged, start-min(start, format.MaxRecord+format.RecordHeaderLen), start); ok {
		return "", ""
	}
	return FaultRecord, fmt.Sprintf("no whole record lies at byte %d of segment %v", e.pos, l.g.id)
}

// overlap returns one of the ranges that has bytes of [start, end).
func overlap(ranges []format.Range, start, end uint64) (format.Range, bool) {
	for _, r := range ranges {
		if uint64(r.Start) < end && start < uint64(r.End) {
			return r, true
		}
	}
	return format.Range{}, false
}

// meet finds the extents that lie in a record, whose bytes begin at pos.
// Records come in the order of their places.
func (l *inspection) meet(rec format.Record, pos uint32) {
	end := uint64(pos) + uint64(rec.Len)
	for ; l.next < len(l.extents) && uint64(l.extents[l.next].pos) < end; l.next++ {
		e := l.extents[l.next]
		if e.pos < pos || uint64(e.pos)+uint64(e.len) > end {
			continue
		}
		if e.ino == rec.Inode && e.off == rec.Off+uint64(e.pos-pos) {
			l.found[l.next] = true
		} else {
			l.strange[l.next] = rec
		}
	}
}

// readHeaders walks from record to record; if that leads nowhere, it reads
// everything.
func (l *inspection) readHeaders(ctx context.Context, f *openSegment) error {
	head := make([]byte, format.RecordHeaderLen)
	w := format.NewWalker(l.table, l.Source.Instance)
	for place, ok := w.Place(); ok; place, ok = w.Place() {
		if _, err := f.read(ctx, head, place); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		rec, pos, ok := w.Take(head)
		if !ok {
			return l.readAll(ctx, f)
		}
		l.meet(rec, pos)
	}
	return ctx.Err()
}

// readAll reads all data, compares it with the table and follows the records.
func (l *inspection) readAll(ctx context.Context, f *openSegment) error {
	l.next = 0
	clear(l.found)
	clear(l.strange)
	r := &deepReader{from: f, rate: l.rate}
	w := format.NewWalker(l.table, l.Source.Instance)
	for at := int64(0); at < int64(l.table.DataLen); at += deepChunk {
		chunk, err := r.read(ctx, at, int(min(deepChunk, int64(l.table.DataLen)-at)))
		if err != nil {
			return err
		}
		l.seen.Bytes += int64(len(chunk))
		l.compare(chunk, at)
		w.Feed(chunk, at, l.meet)
	}
	return nil
}

// compare notes the pages of a chunk that fail their checksum.
func (l *inspection) compare(chunk []byte, at int64) {
	for i := 0; i < len(chunk); i += format.BlockSize {
		p := chunk[i:min(i+format.BlockSize, len(chunk))]
		start := at + int64(i)
		if format.Checksum(p) == l.table.Blocks[start/format.BlockSize] {
			continue
		}
		r := format.Range{Start: uint32(start), End: uint32(start) + uint32(len(p))}
		if n := len(l.damaged); n > 0 && l.damaged[n-1].End == r.Start {
			l.damaged[n-1].End = r.End
		} else {
			l.damaged = append(l.damaged, r)
		}
	}
}

// report tells what was found: each fault of the segment, with what it costs,
// and one fault for each file.
func (l *inspection) report() {
	var lost int64
	for _, w := range l.wrong {
		lost += int64(w.len)
	}
	for _, f := range l.faults {
		if f.kind != FaultPage && f.kind != FaultUnusedPage && lost > 0 {
			f.what = fmt.Sprintf("%s; %s of files %s lost", f.what, printable.Count(lost, "byte"),
				printable.Number(lost, "is", "are"))
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
			what = fmt.Sprintf("%d bytes between the offsets %d and %d cannot be read, in %d pieces: %s",
				bytes, first.off, last.off+uint64(last.len), n, first.why)
		}
		l.Report(Fault{Kind: first.kind, Inode: first.ino, Off: first.off, Len: bytes, Segment: l.g.id, What: what})
		l.wrong = l.wrong[n:]
	}
}
