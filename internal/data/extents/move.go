package extents

import (
	"context"
	"errors"
	"sort"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	// maxMoves and maxMoveSpan bound what one call of File.Move changes: a
	// lock is held meanwhile, for which writers of the file wait.
	maxMoves    = 128
	maxMoveSpan = 256 << 20
)

// Move says that the bytes of Old, which are contiguous and ascend, are also at
// New.
type Move struct {
	New format.Extent
	Old []format.Extent
}

// Move makes the new places current where the index still has the old ones, and
// adds the change to b, which the caller submits before the next change of the
// file. It makes as many of the moves, which ascend, as fit into a batch, and
// returns their number; of the next one it may have made a part, and goes on with
// it in the next call. Sizes and times do not change.
func (f *File) Move(ctx context.Context, b *meta.Batch, moves []Move) (done int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.change(b, min(len(moves), maxMoves))
	for done < min(len(moves), maxMoves) && moves[done].New.End()-moves[0].New.Off <= maxMoveSpan {
		whole, err := c.move(ctx, moves[done])
		if err != nil && b.Len() == 0 {
			return 0, err
		}
		if err != nil || !whole {
			break
		}
		done++
	}
	c.finish(ctx)
	return done, nil
}

// move makes one move, step by step; false if the batch is large before it is
// done as a whole.
func (c *change) move(ctx context.Context, m Move) (whole bool, err error) {
	f := c.f
	for off := m.New.Off; off < m.New.End(); {
		if c.b.Bytes() > f.t.opts.BatchBytes {
			return false, nil
		}
		f.keep = fileRange{m.New.Off, m.New.End()}
		reached, err := f.ensure(ctx, off, m.New.End())
		if err != nil && !errors.Is(err, errGap) {
			return false, err
		}
		for _, e := range f.still(m, off, reached) {
			c.replace(e)
		}
		off = reached
	}
	return true, nil
}

// still returns the parts of the new place in [lo, hi) whose old one is still
// current.
func (f *File) still(m Move, lo, hi uint64) (parts []format.Extent) {
	first := sort.Search(len(m.Old), func(i int) bool { return m.Old[i].End() > lo })
	for _, o := range m.Old[first:] {
		if o.Off >= hi {
			break
		}
		o = o.Clip(lo, hi)
		k := f.committed.seek(o.Off)
		for e, ok := k.get(); ok && e.Off < o.End(); e, ok = k.get() {
			if part := e.Clip(o.Off, o.End()); o.SameBytes(part) {
				part = m.New.Clip(part.Off, part.End())
				if n := len(parts); n > 0 && parts[n-1].End() == part.Off {
					parts[n-1].Len += part.Len
				} else {
					parts = append(parts, part)
				}
			}
			k.next()
		}
	}
	return parts
}
