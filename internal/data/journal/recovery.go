package journal

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/dittofs/dittofs/internal/data/cachedir"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// Recovery is what a start does with the index and the directory before anything
// else uses the journal. Its methods are called by one goroutine.
type Recovery struct{ j *Journal }

// Recovery returns the steps of a start.
func (j *Journal) Recovery() Recovery { return Recovery{j} }

// Load fills the table from the index.
func (r Recovery) Load(ctx context.Context) error {
	err := r.eachKey(ctx, keys.Segment, func(id format.SegmentID, value []byte) error {
		entry, err := format.DecodeSegmentEntry(value)
		if err != nil {
			return fmt.Errorf("segment %v: %w", id, err)
		}
		state := Sealed
		switch entry.State {
		case format.Stored:
			state = Stored
		case format.Dead:
			state = Dead
		}
		r.add(&Segment{ID: id, entry: entry}, state)
		return nil
	})
	if err != nil {
		return err
	}
	return r.eachKey(ctx, keys.Live, func(id format.SegmentID, value []byte) error {
		if len(value) != 8 {
			return fmt.Errorf("live bytes of segment %v: %w", id, format.ErrCorrupt)
		}
		g := r.j.table.Get(id)
		if g == nil {
			g = r.add(&Segment{ID: id}, Missing)
		}
		g.uses.live.Store(int64(binary.BigEndian.Uint64(value)))
		return nil
	})
}

func (r Recovery) add(g *Segment, state State) *Segment {
	g.setState(state)
	g.retired.Store(true)
	r.j.table.put(g)
	return g
}

// eachKey calls f for each segment with a key of the prefix.
func (r Recovery) eachKey(ctx context.Context, prefix byte, f func(format.SegmentID, []byte) error) error {
	const atOnce = 512 // segments that are read from the index
	return meta.Each(ctx, r.j.opts.Index, meta.PrefixRange([]byte{prefix}), atOnce, func(p meta.Pair) error {
		id, err := format.DecodeSegmentKey(p.Key)
		if err != nil {
			return err
		}
		r.Taken(id)
		return f(id, p.Value)
	})
}

// Taken keeps the number of a segment from being used again within an epoch.
func (r Recovery) Taken(id format.SegmentID) {
	if id.Epoch() == r.j.opts.Index.Epoch() {
		r.j.maker.number.Store(max(r.j.maker.number.Load(), id.Number()))
	}
}

// Files lists the segments that have a file in the directory.
func (r Recovery) Files() ([]format.SegmentID, error) {
	j, epoch := r.j, r.j.opts.Index.Epoch()
	entries, err := j.dir.Disk().ReadDir(j.dir.Segments())
	if err != nil {
		return nil, err
	}
	var ids []format.SegmentID
	for _, e := range entries {
		id, ok := format.ParseFileName(e.Name())
		switch {
		case !ok:
			j.opts.Logger.Warn("an unknown file in the journal is left alone", "name", e.Name())
			continue
		case id.Epoch() > epoch:
			err := fmt.Errorf("segment %v is newer than the metadata (epoch %d): %w", id, epoch, cachedir.ErrForeign)
			return nil, &cachedir.Error{Dir: j.dir.Path(), Err: err}
		}
		r.Taken(id)
		ids = append(ids, id)
	}
	return ids, nil
}

// Open takes a file of the directory over. One that nothing refers to is removed,
// and one that was left open is verified record by record and sealed. What is
// returned is sealed or stored by the index, and the caller decides what becomes of
// it; nil if nothing is left to decide.
func (r Recovery) Open(id format.SegmentID) (*Segment, *disk.Shared, error) {
	g := r.j.table.Get(id)
	path := r.j.dir.File(id)
	if g == nil || g.State() == Missing && g.Live() <= 0 || g.State() == Dead {
		return nil, nil, r.j.dir.Disk().Remove(path)
	}
	f, err := disk.OpenShared(r.j.dir.Disk(), path, os.O_RDWR)
	if err != nil {
		return nil, nil, err
	}
	g.local.Store(f)
	if info, err := r.j.dir.Disk().Lstat(path); err == nil {
		g.tail.begun = info.ModTime() // of its last record: the first one's is not known
	}
	if g.State() == Missing {
		return nil, nil, r.seal(g, f)
	}
	return g, f, nil
}

// seal verifies a segment that a crash left open, and queues it.
func (r Recovery) seal(g *Segment, f *disk.Shared) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if err := rewrite(f, size); err != nil {
		return err
	}
	t, err := format.Scan(f, size, g.ID, r.j.opts.Instance, nil)
	if err != nil {
		return err
	}
	g.tail.seed = format.RecordSeed(g.ID, r.j.opts.Instance)
	if err := r.j.complete(g, f, t); err != nil {
		return err
	}
	r.j.opts.Logger.Info("recovered a segment",
		"segment", g.ID.String(), "bytes", t.DataLen, "cut", size-int64(t.DataLen), "gaps", len(t.Bad))
	r.queue(g)
	return nil
}

// rewrite writes a file as it is read. If the process before this one ended
// because a sync had failed, the system takes bytes for written that are not on
// the disk, and no later sync would write them.
func rewrite(f *disk.Shared, size int64) error {
	buf := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; off += int64(len(buf)) {
		p := buf[:min(size-off, int64(len(buf)))]
		if _, err := f.ReadAt(p, off); err != nil {
			return err
		}
		if _, err := f.WriteAt(p, off); err != nil {
			return err
		}
	}
	return nil
}

// Resend queues a segment whose file is here for the content store, which may have
// it already.
func (r Recovery) Resend(g *Segment) {
	g.setState(Sealed)
	g.offered = true
	r.queue(g)
}

func (r Recovery) queue(g *Segment) {
	j := r.j
	g.inherited = j.opts.Remote && g.Live() > 0
	g.tail.room = disk.OnDisk(g.entry.Size)
	j.budget.Inherit(g.tail.room)
	j.queue.inherit(g)
}

// LetGo closes the file of a stored segment, which the caller removes or keeps as a
// copy.
func (r Recovery) LetGo(g *Segment) { g.dropLocal() }

// Found says that the content store has a segment of which the index did not know
// that.
func (r Recovery) Found(g *Segment) error {
	g.setState(Stored)
	return r.j.PutEntry(g, format.Stored)
}

// Lost says that a segment is neither here nor in the content store.
func (r Recovery) Lost(g *Segment) { g.setState(Missing) }
