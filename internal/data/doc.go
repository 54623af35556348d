// Package data keeps the bytes of files: a log of records in segments, and
// for each file a map of extents that says where in which segment a range of
// the file lies. It exists so that random and small writes reach the disk and
// the content store in long sequential runs, and so that many writers share
// one sync.
//
// A write goes through four calls of the vfs, which isolates inodes by its
// own locks:
//
//	e, err := store.Append(ctx, ino, off, p)      // in the journal, not durable
//	_, err = file.Insert(ctx, e)                  // visible to Map
//	dirty := file.Dirty()
//	err = store.Sync(ctx, dirty, false)           // data durable
//	_, _, err = file.Commit(ctx, batch, dirty, size) // index in the batch
//
// A crash before the batch is durable loses only what was never acknowledged.
// Full or idle segments are sealed with a footer of block checksums and given
// to the content store. Every byte read is verified, before that by checksums
// in memory, and what is missing or damaged is ErrCorrupt, never zeros.
//
// The package puts the parts together and is all that others import of them:
//
//	          data        opening, recovery, upload, write-back, reading
//	            │
//	            ▼
//	           gc         collection, compaction, laying out
//	   ┌────────┼────────┐
//	   ▼        ▼        ▼
//	journal  extents  pagecache     segments here; extents of files; segments elsewhere
//	   └────────┼────────┘
//	            ▼
//	 format, worker, cachedir       layout of what is stored; goroutines; the directory
//
// None of the three in the middle imports another: journal.Owner, extents.Segments and
// pagecache.Room are what they need of each other, and wiring.go gives it to them. The
// package imports the contracts of meta and content and the group commit of meta/commit,
// and nothing above them; Files is what it needs of the filesystem.
//
// Locks: uploader.mu is taken under the queue's lock, and nothing is called with it held but
// the log. What the parts have is in their comments. A lock of a file (extents.File) is
// taken before all of them, and none is held while Files is called.
package data
