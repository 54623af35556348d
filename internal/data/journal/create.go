package journal

import (
	"errors"
	"os"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
)

// footerRoom is about the size of the footer: with its space allocated too, a
// segment can be sealed on a full disk.
func footerRoom(capacity int64) int64 { return 4*(capacity/format.BlockSize+1) + 4096 }

// SegmentRoom is what the file of an open segment takes, with its footer.
func SegmentRoom(capacity int64) int64 { return disk.OnDisk(capacity + footerRoom(capacity)) }

// newSegment makes a segment when reserve has taken room for it.
func (j *Journal) newSegment(capacity int64, reserve func(int64) error) (*Segment, error) {
	reserved := SegmentRoom(capacity)
	if err := reserve(reserved); err != nil {
		return nil, err
	}
	id := j.newID()
	g, err := j.create(id, capacity)
	if errors.Is(err, ErrNoSpace) && j.budget.Evict(reserved) { // the disk is smaller than the cache may be
		g, err = j.create(id, capacity)
	}
	if err != nil {
		j.budget.Leave(reserved, false)
		return nil, err
	}
	g.tail.room = reserved
	j.table.put(g)
	return g, nil
}

// create makes the file of a new segment, durably and with its space
// allocated where the filesystem can.
func (j *Journal) create(id format.SegmentID, capacity int64) (*Segment, error) {
	path := j.dir.Path(id)
	f, err := disk.OpenShared(j.dir.Disk(), path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, noSpace(err)
	}
	if err := j.prepare(f, id, capacity); err != nil {
		f.Unref()
		return nil, noSpace(errors.Join(err, j.dir.Disk().Remove(path)))
	}
	g := &Segment{ID: id, tail: tail{
		size: format.HeaderLen, capacity: capacity, touched: time.Now(),
		seed: format.RecordSeed(id, j.opts.Instance),
	}}
	g.local.Store(f)
	g.sums.Store(&recordSums{})
	return g, nil
}

func (j *Journal) prepare(f *disk.Shared, id format.SegmentID, capacity int64) error {
	err := f.Allocate(0, capacity+footerRoom(capacity))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := f.WriteAt(format.EncodeHeader(id, j.opts.Instance), 0); err != nil {
		return err
	}
	return j.dir.Sync()
}

// discard removes an open segment of which nothing is needed. The caller holds
// mu.
func (j *Journal) discard(g *Segment) {
	j.table.remove(g.ID)
	j.removeFile(g.local.Load())
	g.dropLocal()
	j.budget.Leave(g.tail.room, false)
}
