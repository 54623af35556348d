package layout

import "time"

// FileType is the type of an inode.
type FileType uint8

// File types.
const (
	TypeRegular FileType = iota + 1
	TypeDirectory
	TypeSymlink
	TypeBlock
	TypeChar
	TypeFIFO
	TypeSocket
)

// Limits of what is stored.
const (
	MaxName = 255  // bytes in a name
	MaxPath = 4095 // bytes in a symbolic link's target: PATH_MAX without the NUL
)

// NoID is no user and no group, (uid_t)-1: to chown(2) it means unchanged, and
// Linux clients cannot show an inode that has it.
const NoID = 1<<32 - 1

// Nobody is the user and the group that inodes of NoID belong to.
const Nobody = 65534

// Time is nanosecond time since 1970; seconds before 1970 are negative.
type Time struct {
	Sec  int64
	Nsec uint32
}

// TimeOf converts t.
func TimeOf(t time.Time) Time { return Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())} }

// Device is the number of a character or block special file.
type Device struct{ Major, Minor uint32 }

// Verifier is what a client gave an EXCLUSIVE create, or a server its unstable
// writes (RFC 1813 sections 3.3.8 and 3.3.7).
type Verifier [8]byte
