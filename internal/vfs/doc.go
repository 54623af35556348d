// Package vfs is the filesystem: POSIX semantics of inodes, directories,
// permissions and data, above the metadata store (package meta) and the data
// store (package data). Protocols call FileSystem; they never see storage
// types, and this package never sees wire types.
//
// Locks, in the order in which they are taken:
//
//   - FS.renameMu, by renames of directories between directories.
//   - node.mu, of several inodes in the order of their numbers. It guards the inode and
//     the count of its holds: a removal, a release and the reaper each look at both
//     under it, so that one of them finds the last name and the last hold gone.
//   - FS.loading, while the usage of a share is read, or the reaper takes an inode
//     from it.
//   - shareState.granting, while bytes are granted under a quota.
//   - Those of nodeCache, nameCache and allocator: no other of this package is taken
//     under them.
package vfs
