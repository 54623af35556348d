package data

import (
	"context"

	"github.com/dittofs/dittofs/internal/data/gc"
)

// Progress is how far a collection is.
type Progress = gc.Progress

// Orphans are objects of the content store that neither the index nor a backup
// knows.
type Orphans = gc.Orphans

// Collect gives space back: it rewrites segments until at most the fraction
// garbage of all stored bytes is dead, and deletes those that are dead as a
// whole, as soon as the readers that mapped them before have had their time. It
// reports after each step, and returns when all has been tried.
func (s *Store) Collect(ctx context.Context, garbage float64, emit func(Progress) error) error {
	return gc.Collect(ctx, s.collector, s.compactor, garbage, emit)
}

// Dead counts the segments that wait to be deleted.
func (s *Store) Dead() int {
	dead, _ := s.collector.Count()
	return dead
}

// Expected counts the segments that are nowhere, and that nothing refers to: they
// are forgotten when no upload of a server before this one can arrive any more.
func (s *Store) Expected() int {
	_, expected := s.collector.Count()
	return expected
}

// Orphans calls each for every orphan, after it was deleted if remove is set; see
// gc.Collector.
func (s *Store) Orphans(
	ctx context.Context, remove bool, each func(object string, size int64) error,
) (Orphans, error) {
	return s.collector.Orphans(ctx, remove, each)
}
