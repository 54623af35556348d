package journal

import "github.com/dittofs/dittofs/internal/data/format"

// Accounts keeps account of what files have in segments. It implements
// extents.Segments.
type Accounts struct{ j *Journal }

// Accounts returns those of the journal's table.
func (j *Journal) Accounts() Accounts { return Accounts{j} }

// Dirtied says that n bytes of the segment are in a dirty map; false if there is no
// such segment.
func (a Accounts) Dirtied(id format.SegmentID, n int64) bool {
	g := a.j.table.Get(id)
	if g == nil {
		return false
	}
	g.uses.dirty.Add(n)
	return true
}

// Inserted says that an extent that was appended is in a dirty map.
func (a Accounts) Inserted(id format.SegmentID) {
	if g := a.j.table.Get(id); g != nil {
		g.uses.pending.Add(-1)
		if g.retired.Load() {
			a.j.sealer.Send()
		}
	}
}

// Undirtied says that n bytes are in a dirty map no longer.
func (a Accounts) Undirtied(id format.SegmentID, n int64) {
	if g := a.j.table.Get(id); g != nil {
		g.uses.dirty.Add(-n)
		a.j.quieter(g)
	}
}

// Committed says that the index leads to n bytes more, or to fewer, from a batch on
// that is about to be submitted.
func (a Accounts) Committed(id format.SegmentID, n int64) {
	if n < 0 {
		a.j.opts.Owner.Freed(-n)
	}
	if g := a.j.table.Get(id); g != nil && g.uses.live.Add(n) <= 0 {
		a.j.maybeUnused(g)
	}
}

// Stored says whether the content store has the segment.
func (a Accounts) Stored(id format.SegmentID) bool {
	g := a.j.table.Get(id)
	return g != nil && g.State() == Stored
}
