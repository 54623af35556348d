package tree

import "fmt"

// Fault is one inconsistency of the metadata.
type Fault struct {
	Kind  string // one of the constants below
	Inode uint64 // 0: none in particular
	Name  string // an entry of the directory Inode, if it is about one
	What  string

	fix *fix // what Repair does about it; nil if it leaves it alone
}

// String names the inode, if there is one, and what is wrong.
func (f Fault) String() string {
	if f.Inode == 0 {
		return f.What
	}
	return fmt.Sprintf("inode %d: %s", f.Inode, f.What)
}

// Kinds of faults.
const (
	FaultShare       = "share-damaged"     // the record or the top of a share
	FaultInode       = "inode-damaged"     // a record that cannot be read
	FaultInodeShare  = "inode-share"       // an inode of an unknown or of another share
	FaultName        = "name-damaged"      // a directory entry that cannot be
	FaultDirectory   = "directory-missing" // a directory that has names, and no record
	FaultDangling    = "name-dangling"     // a name that leads nowhere
	FaultNameType    = "name-type"         // a name with the type of something else
	FaultListing     = "listing"           // the two forms of directory entries
	FaultCookie      = "cookie"            // positions in a directory
	FaultEntries     = "entry-count"       // how many names a directory has
	FaultLinks       = "link-count"        //
	FaultUnnamed     = "unreachable"       // no name leads to it
	FaultCycle       = "directory-cycle"   // a directory that is its own ancestor
	FaultParent      = "directory-parent"  // a directory with another parent than its name has
	FaultNames       = "directory-names"   // a directory with several names
	FaultExtentOwner = "extent-of-nobody"  // extents of what is no file
	FaultGap         = "extent-gap"        // bytes of a file that no extent covers
	FaultOverlap     = "extent-overlap"    // bytes that two extents cover
	FaultSize        = "file-size"         // a size that the extents do not have
	FaultUsed        = "used-bytes"        // the bytes that a file counts
	FaultOrphan      = "orphan"            // data to be reclaimed of what still exists
	FaultUsage       = "usage"             // of a share
	FaultNumber      = "next-inode"        // numbers that would be given twice
)
