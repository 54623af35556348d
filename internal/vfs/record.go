package vfs

import (
	"encoding/binary"
	"fmt"

	"github.com/dittofs/dittofs/internal/meta/keys"
)

// CachedKeys are the prefixes of the keys that are worth a cache: inodes and
// names, which calls ask for one by one.
const CachedKeys = string(rune(keys.Inode)) + string(rune(keys.Dirent))

func key64(prefix byte, n uint64) []byte { return appendKey64(make([]byte, 0, 9), prefix, n) }

func appendKey64(b []byte, prefix byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefix), n)
}

func inodeKey(ino uint64) []byte  { return key64(keys.Inode, ino) }
func orphanKey(ino uint64) []byte { return key64(keys.Orphan, ino) }

func direntKey(dir uint64, name string) []byte {
	k := make([]byte, 0, 9+len(name))
	k = append(k, keys.Dirent)
	return append(binary.BigEndian.AppendUint64(k, dir), name...)
}

func listKey(dir, cookie uint64) []byte {
	k := make([]byte, 0, 17)
	k = append(k, keys.List)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(k, dir), cookie)
}

func shareKey(name string) []byte { return append([]byte{keys.Share}, name...) }

func usageKey(share uint32, what byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{keys.Usage}, share), what)
}

// record is the stored form of an inode.
type record struct {
	typ        FileType
	mode       uint32
	nlink      uint32
	uid, gid   uint32
	share      uint32
	generation uint32
	size       uint64
	used       uint64
	device     Device
	parent     uint64 // directories
	entries    uint64 // directories: number of names, "." and ".." not counted
	nextCookie uint64 // directories
	atime      Time
	mtime      Time
	ctime      Time
	change     uint64
	exclusive  bool     // made by an EXCLUSIVE create
	verf       Verifier // its verifier, kept for ever: a retry can come late
	target     string   // symbolic links
}

const (
	recordVersion = 1
	recordFixed   = 1 + 1 + 2 + 5*4 + 2*8 + 2*4 + 3*8 + 3*12 + 8 + 1 + 8
	// maxTarget is the longest target that a record holds: servers before this
	// one took a byte more than MaxPath.
	maxTarget = MaxPath + 1
)

// encode renders the record. size and used are given apart: while data is
// dirty the store holds the values that its extents support, so that a crash
// never leaves a size whose bytes do not exist.
func (r *record) encode(size, used uint64) []byte {
	be := binary.BigEndian
	b := make([]byte, 0, recordFixed+len(r.target))
	b = append(b, recordVersion, byte(r.typ))
	b = be.AppendUint16(b, uint16(r.mode))
	for _, v := range [...]uint32{r.nlink, r.uid, r.gid, r.share, r.generation} {
		b = be.AppendUint32(b, v)
	}
	b = be.AppendUint64(b, size)
	b = be.AppendUint64(b, used)
	b = be.AppendUint32(b, r.device.Major)
	b = be.AppendUint32(b, r.device.Minor)
	for _, v := range [...]uint64{r.parent, r.entries, r.nextCookie} {
		b = be.AppendUint64(b, v)
	}
	for _, t := range [...]Time{r.atime, r.mtime, r.ctime} {
		b = be.AppendUint64(b, uint64(t.Sec))
		b = be.AppendUint32(b, t.Nsec)
	}
	b = be.AppendUint64(b, r.change)
	if r.exclusive {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, r.verf[:]...)
	return append(b, r.target...)
}

func decodeRecord(b []byte) (record, error) {
	if len(b) < recordFixed || b[0] != recordVersion || len(b) > recordFixed+maxTarget {
		return record{}, fmt.Errorf("inode record of %d bytes is damaged or of an unknown version", len(b))
	}
	c := cursor{b[1:]}
	r := record{typ: FileType(c.u8()), mode: uint32(c.u16()), nlink: c.u32(), uid: c.u32(), gid: c.u32(), share: c.u32(), generation: c.u32()}
	r.size, r.used = c.u64(), c.u64()
	r.device = Device{Major: c.u32(), Minor: c.u32()}
	r.parent, r.entries, r.nextCookie = c.u64(), c.u64(), c.u64()
	for _, t := range [...]*Time{&r.atime, &r.mtime, &r.ctime} {
		t.Sec, t.Nsec = int64(c.u64()), c.u32()
	}
	r.change = c.u64()
	r.exclusive = c.u8() != 0
	copy(r.verf[:], c.take(8))
	r.target = string(c.b)
	// Older servers stored ids that no client can show.
	if r.uid == NoID {
		r.uid = Nobody
	}
	if r.gid == NoID {
		r.gid = Nobody
	}
	if r.typ < TypeRegular || r.typ > TypeSocket || r.mode > 0o7777 {
		return record{}, fmt.Errorf("inode record has type %d and mode %o", r.typ, r.mode)
	}
	return r, nil
}

// readlink is the target of a symbolic link. Of one that is too long for clients,
// which older servers took, it is what readlink(2) puts into the largest buffer
// that clients have: the beginning.
func (r *record) readlink() string { return r.target[:min(len(r.target), MaxPath)] }

// cursor reads fixed-size fields; the caller has checked the length.
type cursor struct{ b []byte }

func (c *cursor) take(n int) []byte { v := c.b[:n]; c.b = c.b[n:]; return v }
func (c *cursor) u8() uint8         { return c.take(1)[0] }
func (c *cursor) u16() uint16       { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32       { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64       { return binary.BigEndian.Uint64(c.take(8)) }

// dirent is the stored form of a name in a directory.
type dirent struct {
	ino    uint64
	cookie uint64
	typ    FileType
}

const direntSize = 8 + 8 + 1

func (d dirent) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, direntSize), d.ino)
	b = binary.BigEndian.AppendUint64(b, d.cookie)
	return append(b, byte(d.typ))
}

func decodeDirent(b []byte) (dirent, error) {
	if len(b) != direntSize {
		return dirent{}, fmt.Errorf("directory entry of %d bytes is damaged", len(b))
	}
	c := cursor{b}
	return dirent{ino: c.u64(), cookie: c.u64(), typ: FileType(c.u8())}, nil
}

// encodeListed renders the entry as listed by cookie.
func (d dirent) encodeListed(name string) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(name)), d.ino)
	return append(append(b, byte(d.typ)), name...)
}

func decodeListed(key, b []byte) (DirEntry, error) {
	if len(key) != 17 || len(b) < 10 || len(b) > 9+MaxName {
		return DirEntry{}, fmt.Errorf("listed directory entry of %d bytes is damaged", len(b))
	}
	c := cursor{b}
	e := DirEntry{Cookie: binary.BigEndian.Uint64(key[9:]), ID: ID{Inode: c.u64()}, Type: FileType(c.u8())}
	e.Name = string(c.b)
	return e, nil
}
