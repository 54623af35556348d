package data

import (
	"context"
	"sync"

	"github.com/dittofs/dittofs/internal/data/extents"
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

	mu      sync.Mutex
	readers readers
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
