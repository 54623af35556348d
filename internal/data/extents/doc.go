// Package extents knows which bytes of which segment a file consists of: for
// each inode the committed extents, loaded from the index in the metadata store
// where they are needed, and over them the dirty ones, which a commit moves
// there.
//
//	table.go      Table: the extents of all files, and what they need of others
//	file.go       File: one inode; dirty extents, and the map of both
//	index.go      changes of the index: Commit and Resize
//	move.go       Move: the same bytes at another place, for a compaction
//	load.go       committed extents that are loaded from the index
//	cache.go      the bound of memory of those
//	dirtyset.go   DirtySet: the files with dirty extents
//	lookup.go     the index, as it is, without a File
//	intervals.go  a map of extents that do not overlap
//
// It imports format and the contract of the metadata store. What segments it
// does not know: their accounts are kept through the interface Segments.
//
// Locks, in the order in which they are taken: File.mu, then extentCache.mu or
// DirtySet.mu. A File whose extents are evicted while another one's lock is held
// is only tried. What Options call is called with a File's lock held.
package extents
