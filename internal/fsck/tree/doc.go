// Package tree checks the metadata of a filesystem: names and inodes, link
// counts, parents, the two forms of each directory entry, extents and sizes, and
// what shares use. It reads the metadata store as it is stored, and starts no
// server.
//
//	check.go       Survey: all inodes, names and extents in a few passes
//	checkinode.go  what is looked at again, inode by inode
//	repair.go      Repair: mending what can be mended without a loss
//	paths.go       Paths: the names that lead to inodes
//
// It imports vfs/layout, data/format and the contract of the metadata store.
package tree
