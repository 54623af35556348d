package extents

import (
	"context"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

// Segments keeps account of the bytes that files have in segments. Its methods
// do not block.
type Segments interface {
	// Dirtied says that n bytes of the segment are in a dirty map; false if
	// there is no such segment.
	Dirtied(id format.SegmentID, n int64) bool
	// Inserted says that an extent that was appended is in a dirty map.
	Inserted(id format.SegmentID)
	// Undirtied says that n bytes are in a dirty map no longer.
	Undirtied(id format.SegmentID, n int64)
	// Committed says that the index leads to n bytes more, or to fewer, from
	// a batch on that is about to be submitted.
	Committed(id format.SegmentID, n int64)
	// Stored says whether the content store has the segment.
	Stored(id format.SegmentID) bool
}

// Options are what a Table needs of others. Those without a
// default are required, but for Remote.
type Options struct {
	Index    meta.Reader
	Segments Segments
	// Memory bounds the memory of clean extents, in bytes.
	Memory int64
	// AtOnce is how many extents of a file one operation has in its hands, since a
	// client can make a file of one for each byte; default MaxExtents.
	AtOnce int
	// BatchBytes is the size of a batch to which Commit and Move add nothing more;
	// default is the constant. What comes at once replaces AtOnce extents at most.
	BatchBytes int
	// Remote says that extents are committed when the content store has them,
	// so that many of them are no reason to flush a file early.
	Remote bool
	// Written is called with an inode that is written.
	Written func(ino uint64)
	// Committed is called after extents of a file were committed.
	Committed func()
	// Due is called when a file became dirty, or is to be flushed at once.
	Due func()
	// Damaged is told of damaged extents that are dropped with a removed file.
	Damaged func(error)
}

// BatchBytes is the size of a batch to which Commit and Move add nothing more.
const BatchBytes = 1 << 20

// Table is the extent state of all files. Safe for concurrent use.
type Table struct {
	opts  Options
	cache extentCache
	dirty DirtySet
	bytes atomic.Int64 // of dirty extents
}

// NewTable returns the table of an index.
func NewTable(o Options) *Table {
	t := &Table{opts: o}
	if o.AtOnce == 0 {
		t.opts.AtOnce = MaxExtents
	}
	if o.BatchBytes == 0 {
		t.opts.BatchBytes = BatchBytes
	}
	t.cache.limit = o.Memory
	return t
}

// File returns the extent state of an inode. Nothing is loaded. While an
// inode has dirty data, the same File is returned again.
func (t *Table) File(ino uint64) *File {
	if f := t.dirty.get(ino); f != nil {
		return f
	}
	return &File{t: t, ino: ino}
}

// Dirty are the files with dirty extents.
func (t *Table) Dirty() *DirtySet { return &t.dirty }

// DirtyBytes are the bytes of dirty extents.
func (t *Table) DirtyBytes() int64 { return t.bytes.Load() }

// Memory is what clean extents take, in bytes.
func (t *Table) Memory() int64 { return t.cache.bytes.Load() }

// Reap removes at most limit extents of an inode that was removed, with their
// live bytes. done says that none are left after b, which the caller submits
// before it calls again.
func (t *Table) Reap(ctx context.Context, ino uint64, limit int) (b *meta.Batch, done bool, err error) {
	limit = min(max(limit, 1), maxCut)
	pairs, err := t.opts.Index.Scan(ctx, format.ExtentRange(ino, 0, ^uint64(0)), limit)
	if err != nil {
		return nil, false, err
	}
	b = &meta.Batch{}
	live := liveDeltas{}
	for _, p := range pairs {
		b.Delete(p.Key)
		e, err := format.DecodeExtent(p.Key, p.Value, ino)
		if err != nil {
			t.opts.Damaged(err)
			continue
		}
		live.add(e.Seg, -int64(e.Len))
	}
	live.apply(b, t.opts.Segments)
	return b, len(pairs) < limit, nil
}
