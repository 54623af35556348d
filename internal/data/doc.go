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
// The package imports the contracts of meta and content and the group commit
// of meta/commit, and nothing above them.
package data
