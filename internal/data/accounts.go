package data

import (
	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
)

// accounts keeps account of what files have in segments, for their extents.
type accounts struct{ s *Store }

// Dirtied implements extents.Segments.
func (a accounts) Dirtied(id format.SegmentID, n int64) bool {
	g := a.s.segment(id)
	if g == nil {
		return false
	}
	g.dirty.Add(n)
	return true
}

// Inserted implements extents.Segments.
func (a accounts) Inserted(id format.SegmentID) {
	if g := a.s.segment(id); g != nil {
		g.pending.Add(-1)
		if g.retired.Load() {
			a.s.wakeSealer()
		}
	}
}

// Undirtied implements extents.Segments.
func (a accounts) Undirtied(id format.SegmentID, n int64) {
	if g := a.s.segment(id); g != nil {
		g.dirty.Add(-n)
		a.s.wakeIfQuiet(g)
	}
}

// Committed implements extents.Segments.
func (a accounts) Committed(id format.SegmentID, n int64) {
	if n < 0 {
		a.s.freed(-n)
	}
	if g := a.s.segment(id); g != nil && g.live.Add(n) <= 0 {
		a.s.mayBeDead(g)
	}
}

// Stored implements extents.Segments.
func (a accounts) Stored(id format.SegmentID) bool {
	g := a.s.segment(id)
	return g != nil && g.getState() == stateStored
}

func (s *Store) tableOptions() extents.Options {
	return extents.Options{
		Index: s.log, Segments: accounts{s}, Memory: s.opts.ExtentMemory, Remote: s.opts.Remote,
		AtOnce: s.opts.extentsAtOnce, BatchBytes: s.opts.batchBytes,
		Written: s.layouts.drop, Committed: s.committed, Due: s.wakeMaintainer,
		Damaged: func(err error) {
			s.logger.Error("a damaged extent of a removed file is dropped", "error", err)
		},
	}
}
