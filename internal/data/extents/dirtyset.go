package extents

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
)

// DirtySet holds the files with dirty extents.
type DirtySet struct {
	extents atomic.Int64

	mu sync.Mutex
	m  map[uint64]*File
}

func (d *DirtySet) get(ino uint64) *File {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.m[ino]
}

func (d *DirtySet) put(f *File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m == nil {
		d.m = map[uint64]*File{}
	}
	f.since = time.Now()
	d.m[f.ino] = f
}

// hurry makes the file due for a checkpoint at once.
func (d *DirtySet) hurry(f *File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f.since = time.Time{}
}

func (d *DirtySet) remove(f *File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m[f.ino] == f {
		delete(d.m, f.ino)
	}
}

// Restart counts the time that an inode has been dirty from t on.
func (d *DirtySet) Restart(ino uint64, t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.m[ino]; f != nil {
		f.since = t
	}
}

// Due returns the inodes that have been dirty since before t, and when the
// next one becomes so; the zero time if there is none.
func (d *DirtySet) Due(t time.Time) (inos []uint64, oldest time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ino, f := range d.m {
		switch {
		case !f.since.After(t):
			inos = append(inos, ino)
		case oldest.IsZero() || f.since.Before(oldest):
			oldest = f.since
		}
	}
	return inos, oldest
}

// Inodes are those of all of them.
func (d *DirtySet) Inodes() []uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	inos := make([]uint64, 0, len(d.m))
	for ino := range d.m {
		inos = append(inos, ino)
	}
	return inos
}

// In are the inodes that have dirty extents in a segment.
func (d *DirtySet) In(id format.SegmentID) (inos []uint64) {
	for _, f := range d.files() {
		if f.dirtyIn(id) {
			inos = append(inos, f.ino)
		}
	}
	return inos
}

// Files is their number.
func (d *DirtySet) Files() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.m)
}

// Extents is the number of dirty extents.
func (d *DirtySet) Extents() int64 { return d.extents.Load() }

func (d *DirtySet) files() []*File {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := make([]*File, 0, len(d.m))
	for _, f := range d.m {
		files = append(files, f)
	}
	return files
}
