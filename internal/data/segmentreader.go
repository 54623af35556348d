package data

import (
	"context"
	"fmt"
)

// readerChunk is what a segmentReader reads at once.
const readerChunk = 1 << 20

// segmentReader reads a stored segment from one end to the other, verified, and
// puts nothing into the cache.
type segmentReader struct {
	s     *Store
	ctx   context.Context
	g     *segment
	t     *pageTable
	step  uint64 // read at once
	chunk []byte // the bytes from off on
	off   uint64
}

// readSegment begins to read a stored segment here and there: from a content
// store that is far away in pages, else what is asked for.
func (s *Store) readSegment(ctx context.Context, g *segment) (*segmentReader, error) {
	t, err := s.storedTable(ctx, g)
	if err != nil {
		return nil, err
	}
	r := &segmentReader{s: s, ctx: ctx, g: g, t: t, step: pageSize}
	if s.opts.CachePages {
		r.step = readerChunk
	}
	return r, nil
}

// eachRecord calls f with each whole record of a stored segment and the place
// of its bytes.
func (s *Store) eachRecord(ctx context.Context, g *segment, f func(r *segmentReader, rec record, pos uint32) error) error {
	r, err := s.readSegment(ctx, g)
	if err != nil {
		return err
	}
	r.step = readerChunk
	t := r.t
	seed := segmentSeed(g.id, s.opts.Instance)
	bad := t.bad
	for pos := uint64(segmentHeaderLen); pos < uint64(t.dataLen); {
		for len(bad) > 0 && uint64(bad[0].end) <= pos {
			bad = bad[1:]
		}
		if len(bad) > 0 && uint64(bad[0].start) <= pos {
			pos = uint64(bad[0].end)
			continue
		}
		if pos+recordHeaderLen > uint64(t.dataLen) {
			return fmt.Errorf("segment %v ends within a record: %w", g.id, ErrCorrupt)
		}
		head, err := r.bytes(pos, recordHeaderLen)
		if err != nil {
			return err
		}
		rec, ok := decodeRecord(head, seed)
		if !ok || pos+recordHeaderLen+uint64(rec.length) > uint64(t.dataLen) {
			return fmt.Errorf("segment %v has no record at %d: %w", g.id, pos, ErrCorrupt)
		}
		if err := f(r, rec, uint32(pos+recordHeaderLen)); err != nil {
			return err
		}
		pos += recordHeaderLen + uint64(rec.length)
	}
	return nil
}

// bytes returns n bytes from pos on, until the next call.
func (r *segmentReader) bytes(pos, n uint64) ([]byte, error) {
	if pos < r.off || pos+n > r.off+uint64(len(r.chunk)) {
		lo := pos / pageSize * pageSize
		hi := max(lo+r.step, (pos+n+pageSize-1)/pageSize*pageSize)
		hi = min(hi, uint64(r.t.dataLen))
		chunk, err := r.s.readVerified(r.ctx, r.g, r.t, int64(lo), int64(hi-lo))
		if err != nil {
			return nil, err
		}
		r.chunk, r.off = chunk, lo
	}
	return r.chunk[pos-r.off:][:n], nil
}

// storedTable returns the page table of a segment in the content store.
func (s *Store) storedTable(ctx context.Context, g *segment) (*pageTable, error) {
	if t := s.footers.get(g.id); t != nil {
		return t, nil
	}
	if s.opts.CachePages {
		return s.fetchTable(ctx, g, s.pages.of(g))
	}
	t, err := readTable(func(p []byte, off int64) (int, error) {
		return len(p), s.fetchBytes(ctx, g, p, off)
	}, g.id, g.rec, s.opts.Instance)
	if err == nil {
		s.footers.put(t)
	}
	return t, err
}

// readVerified reads n bytes from off on, the beginning of a page, of a stored
// segment: from the cache what is there, the rest from the content store.
func (s *Store) readVerified(ctx context.Context, g *segment, t *pageTable, off, n int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.opts.CachePages {
		return s.fetchVerified(g, noTableFlight(t), off, n)
	}
	p := make([]byte, n)
	c := s.pages.of(g)
	absent := s.readPresent(c, t, p, off)
	for len(absent) > 0 {
		run := 1
		for run < len(absent) && absent[run] == absent[0]+run {
			run++
		}
		_, at := c.part(absent[0], p, off)
		last, end := c.part(absent[run-1], p, off)
		end += int64(len(last))
		got, err := s.fetchVerified(g, noTableFlight(t), at, end-at)
		if err != nil {
			return nil, err
		}
		copy(p[at-off:], got)
		absent = absent[run:]
	}
	return p, nil
}
