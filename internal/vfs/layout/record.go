package layout

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/dittofs/dittofs/internal/meta/keys"
)

// CachedKeys are the prefixes of the keys that are worth a cache: inodes and
// names, which calls ask for one by one.
const CachedKeys = string(rune(keys.Inode)) + string(rune(keys.Dirent))

// Key is a key of a prefix and a number.
func Key(prefix byte, n uint64) []byte { return AppendKey(make([]byte, 0, 9), prefix, n) }

// AppendKey appends such a key.
func AppendKey(b []byte, prefix byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefix), n)
}

// InodeKey is the key of an inode's record.
func InodeKey(ino uint64) []byte { return Key(keys.Inode, ino) }

// OrphanKey says that an inode was removed whose data is still to be reclaimed.
func OrphanKey(ino uint64) []byte { return Key(keys.Orphan, ino) }

// DirentKey is the key of a name in a directory.
func DirentKey(dir uint64, name string) []byte {
	k := make([]byte, 0, 9+len(name))
	k = append(k, keys.Dirent)
	return append(binary.BigEndian.AppendUint64(k, dir), name...)
}

// ListKey is the key of the entry of a directory that is listed by a cookie.
func ListKey(dir, cookie uint64) []byte {
	k := make([]byte, 0, 17)
	k = append(k, keys.List)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(k, dir), cookie)
}

// ShareKey is the key of a share.
func ShareKey(name string) []byte { return append([]byte{keys.Share}, name...) }

// UsageKey is the key of a share's counter: 'b' of bytes, 'i' of inodes.
func UsageKey(share uint32, what byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{keys.Usage}, share), what)
}

// Inode is the stored form of an inode.
type Inode struct {
	Type       FileType
	Mode       uint32
	Nlink      uint32
	UID, GID   uint32
	Share      uint32
	Generation uint32
	Size       uint64
	Used       uint64
	Device     Device
	Parent     uint64 // directories
	Entries    uint64 // directories: number of names, "." and ".." not counted
	NextCookie uint64 // directories
	Atime      Time
	Mtime      Time
	Ctime      Time
	Change     uint64
	Exclusive  bool     // made by an EXCLUSIVE create
	Verifier   Verifier // its verifier, kept for ever: a retry can come late
	Target     string   // symbolic links
}

const (
	inodeVersion = 1
	// InodeLen is the length of an encoded Inode without its target, in bytes.
	InodeLen = 1 + 1 + 2 + 5*4 + 2*8 + 2*4 + 3*8 + 3*12 + 8 + 1 + 8
	// maxTarget is the longest target that an inode holds: servers before this
	// one took a byte more than MaxPath.
	maxTarget = MaxPath + 1
)

// Encode renders the inode. size and used are given apart: while data is
// dirty the store holds the values that its extents support, so that a crash
// never leaves a size whose bytes do not exist.
func (r *Inode) Encode(size, used uint64) []byte {
	be := binary.BigEndian
	b := make([]byte, 0, InodeLen+len(r.Target))
	b = append(b, inodeVersion, byte(r.Type))
	b = be.AppendUint16(b, uint16(r.Mode))
	for _, v := range [...]uint32{r.Nlink, r.UID, r.GID, r.Share, r.Generation} {
		b = be.AppendUint32(b, v)
	}
	b = be.AppendUint64(b, size)
	b = be.AppendUint64(b, used)
	b = be.AppendUint32(b, r.Device.Major)
	b = be.AppendUint32(b, r.Device.Minor)
	for _, v := range [...]uint64{r.Parent, r.Entries, r.NextCookie} {
		b = be.AppendUint64(b, v)
	}
	for _, t := range [...]Time{r.Atime, r.Mtime, r.Ctime} {
		b = be.AppendUint64(b, uint64(t.Sec))
		b = be.AppendUint32(b, t.Nsec)
	}
	b = be.AppendUint64(b, r.Change)
	if r.Exclusive {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, r.Verifier[:]...)
	return append(b, r.Target...)
}

// DecodeInode reads a record; an error says that it is damaged.
func DecodeInode(b []byte) (Inode, error) {
	if len(b) < InodeLen || b[0] != inodeVersion || len(b) > InodeLen+maxTarget {
		return Inode{}, fmt.Errorf("inode record of %d bytes is damaged or of an unknown version", len(b))
	}
	c := cursor{b[1:]}
	r := Inode{
		Type: FileType(c.u8()), Mode: uint32(c.u16()), Nlink: c.u32(), UID: c.u32(), GID: c.u32(), Share: c.u32(),
		Generation: c.u32(),
	}
	r.Size, r.Used = c.u64(), c.u64()
	r.Device = Device{Major: c.u32(), Minor: c.u32()}
	r.Parent, r.Entries, r.NextCookie = c.u64(), c.u64(), c.u64()
	for _, t := range [...]*Time{&r.Atime, &r.Mtime, &r.Ctime} {
		t.Sec, t.Nsec = int64(c.u64()), c.u32()
	}
	r.Change = c.u64()
	r.Exclusive = c.u8() != 0
	copy(r.Verifier[:], c.take(8))
	r.Target = string(c.b)
	// Older servers stored ids that no client can show.
	if r.UID == NoID {
		r.UID = Nobody
	}
	if r.GID == NoID {
		r.GID = Nobody
	}
	if r.Type < TypeRegular || r.Type > TypeSocket || r.Mode > 0o7777 {
		return Inode{}, fmt.Errorf("inode record has type %d and mode %o", r.Type, r.Mode)
	}
	return r, nil
}

// Readlink is the target of a symbolic link. Of one that is too long for clients,
// which older servers took, it is what readlink(2) puts into the largest buffer
// that clients have: the beginning.
func (r *Inode) Readlink() string { return r.Target[:min(len(r.Target), MaxPath)] }

// cursor reads fixed-size fields; the caller has checked the length.
type cursor struct{ b []byte }

func (c *cursor) take(n int) []byte { v := c.b[:n]; c.b = c.b[n:]; return v }
func (c *cursor) u8() uint8         { return c.take(1)[0] }
func (c *cursor) u16() uint16       { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32       { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64       { return binary.BigEndian.Uint64(c.take(8)) }

// Dirent is the stored form of a name in a directory.
type Dirent struct {
	Inode  uint64
	Cookie uint64
	Type   FileType
}

// DirentLen is the length of an encoded Dirent, in bytes.
const DirentLen = 8 + 8 + 1

// Encode renders the entry as found by its name.
func (d Dirent) Encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, DirentLen), d.Inode)
	b = binary.BigEndian.AppendUint64(b, d.Cookie)
	return append(b, byte(d.Type))
}

// DecodeDirent reads an entry that is found by its name.
func DecodeDirent(b []byte) (Dirent, error) {
	if len(b) != DirentLen {
		return Dirent{}, fmt.Errorf("directory entry of %d bytes is damaged", len(b))
	}
	c := cursor{b}
	return Dirent{Inode: c.u64(), Cookie: c.u64(), Type: FileType(c.u8())}, nil
}

// EncodeListed renders the entry as listed by cookie.
func (d Dirent) EncodeListed(name string) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(name)), d.Inode)
	return append(append(b, byte(d.Type)), name...)
}

// Listed is a name in a directory as it is listed.
type Listed struct {
	Dirent
	Name string
}

// DecodeListed reads an entry as listed, by its key and value.
func DecodeListed(key, b []byte) (Listed, error) {
	if len(key) != 17 || len(b) < 10 || len(b) > 9+MaxName {
		return Listed{}, fmt.Errorf("listed directory entry of %d bytes is damaged", len(b))
	}
	c := cursor{b}
	d := Dirent{Inode: c.u64(), Cookie: binary.BigEndian.Uint64(key[9:]), Type: FileType(c.u8())}
	return Listed{d, string(c.b)}, nil
}

// ValidName says whether a directory may have an entry of that name.
func ValidName(name string) bool {
	return name != "" && len(name) <= MaxName && !strings.ContainsAny(name, "/\x00")
}

// FirstCookie is the position of a directory's first entry: 0 begins a
// listing, 1 and 2 are "." and "..".
const FirstCookie = 3

// EncodeNumber is the value of a setting or counter that is a number.
func EncodeNumber(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// DecodeNumber reads one; one of another length is damaged, and 0.
func DecodeNumber(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
