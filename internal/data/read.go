package data

import (
	"context"
	"fmt"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
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
	s.stats.read.Add(n)
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
	g := s.segment(e.Seg)
	if g == nil {
		return nil, fmt.Errorf("segment %v does not exist: %w", e.Seg, format.ErrCorrupt)
	}
	if f := g.acquire(); f != nil {
		defer f.Unref()
		return s.readLocal(g, f, e, mem)
	}
	if st := g.getState(); st == stateMissing || st == stateWritable || g.rec.Size == 0 {
		return nil, fmt.Errorf("segment %v is missing: %w", g.id, format.ErrCorrupt)
	}
	return s.cache.Read(ctx, g.stored(), e, mem, noWait)
}

// readLocal reads from the journal, verified by what is known of an open segment
// or by the footer of a sealed one.
func (s *Store) readLocal(g *segment, f *disk.Shared, e format.Extent, mem []byte) ([]byte, error) {
	if sums := g.sums.Load(); sums != nil {
		return sums.read(f.ReadAt, g.id, e, mem)
	}
	t := g.table.Load()
	if t == nil {
		var err error
		if t, err = format.ReadFooter(f.ReadAt, g.id, g.rec, s.opts.Instance); err != nil {
			return nil, err
		}
		g.table.CompareAndSwap(nil, t)
	}
	return format.ReadExtent(f.ReadAt, t, e, mem)
}
