package vfs

import (
	"context"
	"time"

	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// Types that are stored as they are.
type (
	// FileType is the type of an inode.
	FileType = layout.FileType
	// Time is nanosecond time since 1970; seconds before 1970 are negative.
	Time = layout.Time
	// Device is the number of a character or block special file.
	Device = layout.Device
	// Verifier changes whenever unstable data could have been lost.
	Verifier = layout.Verifier
)

// File types.
const (
	TypeRegular   = layout.TypeRegular
	TypeDirectory = layout.TypeDirectory
	TypeSymlink   = layout.TypeSymlink
	TypeBlock     = layout.TypeBlock
	TypeChar      = layout.TypeChar
	TypeFIFO      = layout.TypeFIFO
	TypeSocket    = layout.TypeSocket
)

// Limits of the filesystem, as PATHCONF and FSINFO report them.
const (
	MaxName     = layout.MaxName // bytes in a name
	MaxPath     = layout.MaxPath // bytes in a symbolic link's target: PATH_MAX without the NUL
	MaxLinks    = 1 << 20        // links to one inode
	MaxFileSize = 1<<63 - 1      // bytes
	MaxGroups   = 16             // supplementary groups of a credential (AUTH_SYS)
)

// NoID is no user and no group, (uid_t)-1: to chown(2) it means unchanged, and
// Linux clients cannot show an inode that has it. Nobody is the user and the
// group that inodes of NoID belong to.
const (
	NoID   = layout.NoID
	Nobody = layout.Nobody
)

// TimeOf converts t.
func TimeOf(t time.Time) Time { return layout.TimeOf(t) }

// ID names an inode for ever: it is the content of a file handle (with the
// authentication code that Handles adds).
type ID struct {
	Share      uint32
	Inode      uint64
	Generation uint32
}

// Attr are the attributes of an inode. Filled for one moment under the
// inode's lock.
type Attr struct {
	ID     ID
	Type   FileType
	Mode   uint32 // permission bits, setuid, setgid, sticky: 07777
	Nlink  uint32
	UID    uint32
	GID    uint32
	Size   uint64 // bytes; of a symbolic link, the target's length
	Used   uint64 // bytes of storage, holes not counted
	Device Device
	Parent uint64 // directories: inode of the parent
	Atime  Time
	Mtime  Time
	Ctime  Time
	Change uint64 // grows with every change of the inode (NFSv4 change attribute)
}

// WCC are the attributes of an inode before and after one operation, taken
// under its lock (RFC 1813 section 2.6). Valid tells whether they are filled;
// it can be true when the operation failed.
type WCC struct {
	Valid         bool
	Before, After Attr
}

// Cred is who asks, after squashing. Groups are the supplementary groups.
type Cred struct {
	UID, GID uint32
	Groups   []uint32
}

// InGroup tells whether the credential belongs to gid.
func (c *Cred) InGroup(gid uint32) bool {
	if c.GID == gid {
		return true
	}
	for _, g := range c.Groups {
		if g == gid {
			return true
		}
	}
	return false
}

// Request is the environment of one operation: made by package export for
// each call, after checking share, client address and credential.
type Request struct {
	Context context.Context //nolint:containedctx // a Request is a call
	Cred    Cred
	// ReadOnly refuses changes with ROFS.
	ReadOnly bool
}

// SetAttr names the attributes to change; nil leaves one as it is.
type SetAttr struct {
	Mode  *uint32
	UID   *uint32
	GID   *uint32
	Size  *uint64
	Atime *TimeSet
	Mtime *TimeSet
}

// TimeSet sets a time to the server's clock (Now) or to Time. The difference
// matters for permissions: utimensat(2).
type TimeSet struct {
	Now  bool
	Time Time
}

// DirEntry is one entry of a directory. Cookie is its permanent position:
// listing goes on after it, whatever else changes. Cookies of entries are
// greater than 2; "." and ".." are entries with the cookies 1 and 2.
type DirEntry struct {
	Name   string
	Cookie uint64
	ID     ID
	Type   FileType
	Attr   *Attr // if asked for, allowed and still there
}

// Position is where a listing goes on: behind the entry that has Cookie, and up to
// End. The zero Position begins one.
type Position struct {
	Cookie uint64
	// End is where the directory ended when the listing began: Listed.End. 0 is
	// where it ends now.
	End uint64
}

// Listed is how far a listing came.
type Listed struct {
	EOF bool   // nothing is left of it
	End uint64 // for the Position at which it goes on; never 0
}

// Stability of a WRITE (RFC 1813 section 3.3.7).
type Stability uint32

// Stabilities, with the numbers of the protocol.
const (
	Unstable Stability = iota
	DataSync
	FileSync
)

// AccessMask are the bits of ACCESS (RFC 1813 section 3.3.4).
type AccessMask uint32

// Access bits, with the numbers of the protocol.
const (
	AccessRead    AccessMask = 0x01
	AccessLookup  AccessMask = 0x02
	AccessModify  AccessMask = 0x04
	AccessExtend  AccessMask = 0x08
	AccessDelete  AccessMask = 0x10
	AccessExecute AccessMask = 0x20
)

// CreateMode says how CREATE treats an existing name (RFC 1813 section 3.3.8).
type CreateMode uint32

// Create modes, with the numbers of the protocol.
const (
	CreateUnchecked CreateMode = iota
	CreateGuarded
	CreateExclusive
)

// StatFS is the capacity of a share in bytes and inodes.
type StatFS struct {
	TotalBytes, FreeBytes, AvailBytes    uint64
	TotalInodes, FreeInodes, AvailInodes uint64
}

// Buffer is data read from a file; nil if nothing was read. Release gives its
// memory back: it is called once, and Bytes not afterwards.
type Buffer interface {
	Bytes() []byte
	Release()
}
