// Package vfs is the filesystem: POSIX semantics of inodes, directories,
// permissions and data, above the metadata store (package meta) and the data
// store (package data). Protocols call FileSystem; they never see storage
// types, and this package never sees wire types.
package vfs
