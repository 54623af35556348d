package pagecache

import (
	"context"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
)

// readerChunk is what a segmentReader reads at once.
const readerChunk = 1 << 20

// SegmentReader reads a stored segment from one end to the other, verified, and
// puts nothing into the cache.
type SegmentReader struct {
	s       *Cache
	Segment Segment
	t       *format.Footer
	step    uint64 // read at once
	chunk   []byte // the bytes from off on
	off     uint64
}

// OpenSegment begins to read a stored segment here and there: from a content
// store that is far away in pages, else what is asked for.
func (s *Cache) OpenSegment(ctx context.Context, g Segment) (*SegmentReader, error) {
	t, err := s.footer(ctx, g)
	if err != nil {
		return nil, err
	}
	r := &SegmentReader{s: s, Segment: g, t: t, step: format.BlockSize}
	if s.opts.Far {
		r.step = readerChunk
	}
	return r, nil
}

// EachRecord calls f with each whole record of a stored segment and the place
// of its bytes.
func (s *Cache) EachRecord(
	ctx context.Context, g Segment, f func(r *SegmentReader, rec format.Record, pos uint32) error,
) error {
	r, err := s.OpenSegment(ctx, g)
	if err != nil {
		return err
	}
	r.step = readerChunk
	w := format.NewWalker(r.t, s.opts.Instance)
	for place, ok := w.Place(); ok; place, ok = w.Place() {
		if place+format.RecordHeaderLen > int64(r.t.DataLen) {
			return fmt.Errorf("segment %v ends within a record: %w", g.ID, format.ErrCorrupt)
		}
		head, err := r.Bytes(ctx, uint64(place), format.RecordHeaderLen)
		if err != nil {
			return err
		}
		rec, pos, ok := w.Take(head)
		if !ok {
			return fmt.Errorf("segment %v has no record at %d: %w", g.ID, place, format.ErrCorrupt)
		}
		if err := f(r, rec, pos); err != nil {
			return err
		}
	}
	return nil
}

// Bytes returns n bytes from pos on, until the next call.
func (r *SegmentReader) Bytes(ctx context.Context, pos, n uint64) ([]byte, error) {
	if pos < r.off || pos+n > r.off+uint64(len(r.chunk)) {
		lo := pos / format.BlockSize * format.BlockSize
		hi := max(lo+r.step, (pos+n+format.BlockSize-1)/format.BlockSize*format.BlockSize)
		hi = min(hi, uint64(r.t.DataLen))
		chunk, err := r.s.readVerified(ctx, r.Segment, r.t, int64(lo), int64(hi-lo))
		if err != nil {
			return nil, err
		}
		r.chunk, r.off = chunk, lo
	}
	return r.chunk[pos-r.off:][:n], nil
}

// footer returns the footer of a segment in the content store.
func (s *Cache) footer(ctx context.Context, g Segment) (*format.Footer, error) {
	if t := s.footers.get(g.ID); t != nil {
		return t, nil
	}
	if s.opts.Far {
		return s.fetchFooter(ctx, g, s.copies.of(g))
	}
	t, err := format.ReadFooter(func(p []byte, off int64) (int, error) {
		return len(p), s.fetchBytes(ctx, g, p, off)
	}, g.ID, g.Entry, s.opts.Instance)
	if err == nil {
		s.footers.put(t)
	}
	return t, err
}

// readVerified reads n bytes from off on, the beginning of a page, of a stored
// segment: from the cache what is there, the rest from the content store.
func (s *Cache) readVerified(ctx context.Context, g Segment, t *format.Footer, off, n int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.opts.Far {
		return s.fetchVerified(ctx, g, knownFooter(t), off, n)
	}
	p := make([]byte, n)
	c := s.copies.of(g)
	absent := s.readPresent(c, t, p, off)
	for len(absent) > 0 {
		run := 1
		for run < len(absent) && absent[run] == absent[0]+run {
			run++
		}
		_, at := c.part(absent[0], p, off)
		last, end := c.part(absent[run-1], p, off)
		end += int64(len(last))
		got, err := s.fetchVerified(ctx, g, knownFooter(t), at, end-at)
		if err != nil {
			return nil, err
		}
		copy(p[at-off:], got)
		absent = absent[run:]
	}
	return p, nil
}
