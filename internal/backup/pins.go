package backup

import (
	"slices"
	"sync"

	"github.com/dittofs/dittofs/internal/data/format"
)

// pins are the segments that backups refer to. Until they are loaded, and
// while there is a backup that cannot be read, it may be any.
type pins struct {
	mu     sync.RWMutex
	known  bool
	refs   map[string][]format.SegmentID // by backup, each in order
	opaque map[string]bool               // backups that cannot be read
}

// has says whether a backup refers to the segment.
func (p *pins) has(id format.SegmentID) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.known || len(p.opaque) > 0 {
		return true
	}
	for _, ids := range p.refs {
		if _, ok := slices.BinarySearch(ids, id); ok {
			return true
		}
	}
	return false
}

// set replaces all.
func (p *pins) set(entries []Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known, p.refs, p.opaque = true, map[string][]format.SegmentID{}, map[string]bool{}
	for _, e := range entries {
		if e.Err != nil {
			p.opaque[e.Name] = true
		} else {
			p.refs[e.Name] = segmentIDs(e.Manifest)
		}
	}
}

func (p *pins) add(m *Manifest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refs[m.Name] = segmentIDs(m)
}

func (p *pins) remove(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.refs, name)
	delete(p.opaque, name)
}

func segmentIDs(m *Manifest) []format.SegmentID {
	ids := make([]format.SegmentID, len(m.Segments))
	for i := range m.Segments {
		ids[i] = m.Segments[i].ID
	}
	return ids
}
