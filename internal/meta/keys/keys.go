// Package keys is the register of the metadata store's key space: each key
// begins with a byte that one package owns, which encodes what follows and
// alone reads and writes it. Settings are whole keys, since several packages
// have one.
//
// A prefix that was ever written is never given to another package: stores of
// earlier versions may hold its keys.
package keys

// Prefixes of package vfs.
const (
	Inode  = 'i' // be64(inode) -> inode record
	Dirent = 'd' // be64(directory) name -> be64(inode) be64(cookie) type
	List   = 'l' // be64(directory) be64(cookie) -> be64(inode) type name
	Orphan = 'o' // be64(inode) -> inode without a name, or the extents left of one, to reclaim
	Share  = 'h' // name -> be32(id) be64(root inode)
	Usage  = 'u' // be32(share) 'b' or 'i' -> bytes or inodes of a share, a counter
)

// Prefixes of package data/format.
const (
	Extent  = 'x' // be64(inode) be64(offset) -> extent
	Segment = 'g' // be64(segment) -> entry of a sealed segment
	Live    = 'G' // be64(segment) -> its live bytes, a counter
)

// setting begins the keys of settings.
const setting = "c"

// Settings, and the packages that they belong to.
const (
	Format     = setting + "format"     // vfs: version of the key space
	HandleKey  = setting + "handle-key" // vfs: secret that signs handles
	NextInode  = setting + "next-inode" // vfs
	NextShare  = setting + "next-share" // vfs
	Instance   = setting + "instance"   // server: identity of the filesystem
	Restoring  = setting + "restoring"  // backup: a restore that was not finished
	Generation = setting + "generation" // backup: number of the last backup
)

// Owners says which package owns a prefix.
var Owners = map[byte]string{
	Inode: "vfs", Dirent: "vfs", List: "vfs", Orphan: "vfs", Share: "vfs", Usage: "vfs",
	Extent: "data/format", Segment: "data/format", Live: "data/format",
	setting[0]: "by name",
}

// Settings are the keys of all settings.
var Settings = []string{Format, HandleKey, NextInode, NextShare, Instance, Restoring, Generation}
