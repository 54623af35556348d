package data

import (
	"context"

	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/meta"
)

// MaxDirty is the largest number of extents that Dirty returns.
const MaxDirty = extents.MaxDirty

// File is what is known of the bytes of one inode: its extents, and who reads it
// in order. Safe for concurrent use, but the order of Insert, Commit, Resize and
// Move, and the submission of their batches before the next of them, are up to
// the caller's lock.
type File struct {
	*extents.File
	s *Store

	readers pagecache.Readers
}

// File returns what is known of an inode. Nothing is loaded. Its dirty extents
// are known to every File of the inode.
func (s *Store) File(ino uint64) *File { return &File{File: s.extents.File(ino), s: s} }

// Reap removes at most limit extents of an inode that was removed, with their
// live bytes. done says that none are left after b, which the caller submits
// before it calls again.
func (s *Store) Reap(ctx context.Context, ino uint64, limit int) (b *meta.Batch, done bool, err error) {
	return s.extents.Reap(ctx, ino, limit)
}

// Ahead notes a read of n bytes at off, which are in the extents exts, and which
// may make the file one that is laid out again. It returns the extents that the
// reader will probably want next, for Prefetch; mostly none. size is the file's.
func (f *File) Ahead(ctx context.Context, exts []format.Extent, off, n, size uint64) []format.Extent {
	from, to := f.noteRead(exts, off, n, size)
	if from >= to {
		return nil
	}
	wanted, err := f.Map(ctx, from, to-from)
	if err != nil {
		return nil // the reader will be told when it comes there
	}
	return wanted
}

// noteRead takes in a read and returns the range that is to be fetched for its
// reader, which is empty if nothing is.
func (f *File) noteRead(exts []format.Extent, off, n, size uint64) (from, to uint64) {
	far := uint64(f.s.opts.LayOutRun)
	if f.s.opts.Garbage >= 1 {
		far = 0
	}
	r := f.readers.Note(f.s.cache, exts, off, n, size, far)
	if r.PassedFrom < r.PassedTo {
		f.s.compactor.Passed(f.Inode(), r.PassedFrom, r.PassedTo, f.EachLoaded)
	}
	return r.From, r.To
}

// Prefetch brings the pages of extents that a reader will want soon here, in
// the background.
func (s *Store) Prefetch(exts []format.Extent) { s.cache.Prefetch(exts) }
