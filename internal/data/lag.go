package data

import (
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
)

// Lag is what the content store does not have yet.
type Lag struct {
	// Oldest is when the oldest byte was written that is not there, zero if there
	// is none. Of segments that an earlier process left it is about that.
	Oldest   time.Time
	Bytes    int64 // of records
	Segments int
}

// Lag returns how far the content store is behind the journal.
func (s *Store) Lag() Lag {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l Lag
	add := func(g *segment, bytes int64) {
		l.Bytes += bytes
		l.Segments++
		l.Oldest = earlier(l.Oldest, g.begun)
	}
	if g := s.active; g != nil && g.size > format.HeaderLen {
		add(g, g.size)
	}
	for _, g := range s.toSeal {
		if g.size > format.HeaderLen {
			add(g, g.size)
		}
	}
	for _, g := range s.toStore {
		add(g, g.rec.Size)
	}
	return l
}
