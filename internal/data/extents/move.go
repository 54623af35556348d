package extents

import (
	"context"
	"errors"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

const (
	// maxMoves and maxMoveSpan bound what one call of File.Move changes: a
	// lock is held meanwhile, for which writers of the file wait, and what it
	// loads stays loaded.
	maxMoves    = 128
	maxMoveSpan = 4 * windowSize
)

// Move says that the bytes of Old, which are contiguous and ascend, are also at
// New.
type Move struct {
	New format.Extent
	Old []format.Extent
}

// Move makes the new places current where the index still has the old ones, and
// adds the change to b, which the caller submits before the next change of the
// file. It makes as many of the moves, which ascend, as fit into a batch and
// returns their number, at least 1. Sizes and times do not change.
func (f *File) Move(ctx context.Context, b *meta.Batch, moves []Move) (done int, err error) {
	if len(moves) == 0 {
		return 0, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	first := moves[0].New
	n := 1
	for n < min(len(moves), maxMoves) && moves[n].New.End()-first.Off <= maxMoveSpan {
		n++
	}
	f.keep = fileRange{first.Off, moves[n-1].New.End()}
	for _, m := range moves[:n] {
		if err := f.ensure(ctx, m.New.Off, m.New.End()); err != nil && !errors.Is(err, errGap) {
			return 0, err
		}
	}
	c := f.change(b, n)
	for done < n && (done == 0 || b.Bytes() <= maxCommit) {
		for _, e := range f.still(moves[done]) {
			c.replace(e)
		}
		done++
	}
	c.finish(ctx)
	return done, nil
}

// still returns the parts of the new place whose old one is still current.
func (f *File) still(m Move) (parts []format.Extent) {
	for _, o := range m.Old {
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
