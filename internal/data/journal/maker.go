package journal

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// footerRoom is about the size of the footer: with its space allocated too, a
// segment can be sealed on a full disk.
func footerRoom(capacity int64) int64 { return 4*(capacity/format.BlockSize+1) + 4096 }

// SegmentRoom is what the file of an open segment takes, with its footer.
func SegmentRoom(capacity int64) int64 { return disk.OnDisk(capacity + footerRoom(capacity)) }

// maker makes the files of segments, and removes them. Safe for concurrent use.
type maker struct {
	j      *Journal
	number atomic.Uint32 // of the last segment made
}

func (m *maker) newID() format.SegmentID {
	return format.NewSegmentID(m.j.opts.Index.Epoch(), m.number.Add(1))
}

// newSegment makes a segment when reserve has taken room for it.
func (m *maker) newSegment(capacity int64, reserve func(int64) error) (*Segment, error) {
	reserved := SegmentRoom(capacity)
	if err := reserve(reserved); err != nil {
		return nil, err
	}
	id := m.newID()
	g, err := m.create(id, capacity)
	if errors.Is(err, ErrNoSpace) && m.j.budget.Evict(reserved) { // the disk is smaller than the cache may be
		g, err = m.create(id, capacity)
	}
	if err != nil {
		m.j.budget.Leave(reserved, false)
		return nil, err
	}
	g.tail.room = reserved
	m.j.table.put(g)
	return g, nil
}

// create makes the file of a new segment, durably and with its space
// allocated where the filesystem can.
func (m *maker) create(id format.SegmentID, capacity int64) (*Segment, error) {
	path := m.j.dir.File(id)
	f, err := disk.OpenShared(m.j.dir.Disk(), path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, noSpace(err)
	}
	if err := m.prepare(f, id, capacity); err != nil {
		f.Unref()
		return nil, noSpace(errors.Join(err, m.j.dir.Disk().Remove(path)))
	}
	g := &Segment{ID: id, tail: tail{
		size: format.HeaderLen, capacity: capacity, touched: time.Now(),
		seed: format.RecordSeed(id, m.j.opts.Instance),
	}}
	g.local.Store(f)
	g.sums.Store(&recordSums{})
	return g, nil
}

func (m *maker) prepare(f *disk.Shared, id format.SegmentID, capacity int64) error {
	err := f.Allocate(0, capacity+footerRoom(capacity))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := f.WriteAt(format.EncodeHeader(id, m.j.opts.Instance), 0); err != nil {
		return err
	}
	return m.j.dir.Sync()
}

// discard removes an open segment of which nothing is needed.
func (m *maker) discard(g *Segment) {
	m.j.table.remove(g.ID)
	m.removeFile(g.local.Load())
	g.dropLocal()
	m.j.budget.Leave(g.tail.room, false)
}

func (m *maker) removeFile(f *disk.Shared) {
	if err := m.j.dir.Disk().Remove(f.Name()); err != nil {
		m.j.opts.Logger.Warn("the local copy of a segment could not be removed", "file", f.Name(), "error", err)
	}
}
