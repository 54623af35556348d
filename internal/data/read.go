package data

import (
	"context"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
)

// Read returns the bytes of contiguous extents as Map returned them; holes are
// zeros. What is missing or fails its checksum is ErrCorrupt; extents that
// were replaced long before may be missing, and are then mapped again. With
// noWait the data must be on this machine, else ErrWouldBlock.
func (s *Store) Read(ctx context.Context, exts []format.Extent, noWait bool) (*Buffer, error) {
	var n uint64
	for i := range exts {
		if err := exts[i].Check(); err != nil {
			return nil, err
		}
		if n += exts[i].Len; n > format.MaxRecord {
			return nil, fmt.Errorf("read of %d bytes: %w", n, format.ErrTooLarge)
		}
	}
	b := newBuffer(int(n))
	if err := s.readInto(ctx, b, exts, int(n), noWait); err != nil {
		b.Release()
		return nil, err
	}
	s.read.Add(n)
	return b, nil
}

func (s *Store) readInto(ctx context.Context, b *Buffer, exts []format.Extent, n int, noWait bool) (err error) {
	if len(exts) == 1 && !exts[0].Hole() {
		b.p, err = s.readExtent(ctx, exts[0], b.mem, noWait)
		return err
	}
	b.p = b.mem[:n]
	dst := b.p
	for i := range exts {
		part := dst[:exts[i].Len]
		dst = dst[exts[i].Len:]
		if exts[i].Hole() {
			clear(part)
			continue
		}
		if err := s.readPart(ctx, exts[i], part, noWait); err != nil {
			return err
		}
	}
	return nil
}

// readPart reads one of several extents.
func (s *Store) readPart(ctx context.Context, e format.Extent, dst []byte, noWait bool) error {
	scratch := newBuffer(len(dst))
	defer scratch.Release()
	p, err := s.readExtent(ctx, e, scratch.mem, noWait)
	if err != nil {
		return err
	}
	copy(dst, p)
	return nil
}

// readExtent reads an extent into mem, which has room for the rest of its
// first and last page, and returns the part of mem that holds it.
func (s *Store) readExtent(ctx context.Context, e format.Extent, mem []byte, noWait bool) ([]byte, error) {
	g := s.journal.Segments().Get(e.Seg)
	if g == nil {
		return nil, fmt.Errorf("segment %v does not exist: %w", e.Seg, format.ErrCorrupt)
	}
	if f := g.Acquire(); f != nil {
		defer f.Unref()
		return g.Read(f, s.opts.Instance, e, mem)
	}
	if st := g.State(); st == journal.Missing || st == journal.Writable || g.Entry().Size == 0 {
		return nil, fmt.Errorf("segment %v is missing: %w", g.ID, format.ErrCorrupt)
	}
	return s.cache.Read(ctx, cached(g), e, mem, noWait)
}
