package v3

import (
	"math"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/xdr"
)

// ftype3 (RFC 1813 section 2.6).
var ftypes = [...]uint32{
	vfs.TypeRegular:   1,
	vfs.TypeDirectory: 2,
	vfs.TypeBlock:     3,
	vfs.TypeChar:      4,
	vfs.TypeSymlink:   5,
	vfs.TypeSocket:    6,
	vfs.TypeFIFO:      7,
}

const (
	// fattrSize is the encoded length of fattr3.
	fattrSize = 84
	// postOpSize is that of a post_op_attr with attributes.
	postOpSize = 4 + fattrSize
)

// putAttr appends fattr3. The file system id is the share's: one share is one
// file system.
func putAttr(e *xdr.Encoder, a *vfs.Attr) {
	e.Uint32(ftypes[a.Type])
	e.Uint32(a.Mode)
	e.Uint32(a.Nlink)
	e.Uint32(a.UID)
	e.Uint32(a.GID)
	e.Uint64(a.Size)
	e.Uint64(a.Used)
	e.Uint32(a.Device.Major)
	e.Uint32(a.Device.Minor)
	e.Uint64(uint64(a.ID.Share))
	e.Uint64(a.ID.Inode)
	putTime(e, a.Atime)
	putTime(e, a.Mtime)
	putTime(e, a.Ctime)
}

// putTime appends nfstime3. Its seconds have 32 bits without a sign: times
// before 1970 and after 2106 become the nearest that it can say.
func putTime(e *xdr.Encoder, t vfs.Time) {
	t = clipTime(t)
	e.Uint32(uint32(t.Sec))
	e.Uint32(t.Nsec)
}

func clipTime(t vfs.Time) vfs.Time {
	switch {
	case t.Sec < 0:
		return vfs.Time{}
	case t.Sec > math.MaxUint32:
		return vfs.Time{Sec: math.MaxUint32, Nsec: 999999999}
	}
	return t
}

// putPostOp appends post_op_attr: none if the type is zero.
func putPostOp(e *xdr.Encoder, a *vfs.Attr) {
	if a.Type == 0 {
		e.Bool(false)
		return
	}
	e.Bool(true)
	putAttr(e, a)
}

// putWCC appends wcc_data.
func putWCC(e *xdr.Encoder, w *vfs.WCC) {
	if !w.Valid || w.After.Type == 0 {
		e.Bool(false)
		e.Bool(false)
		return
	}
	e.Bool(true)
	e.Uint64(w.Before.Size)
	putTime(e, w.Before.Mtime)
	putTime(e, w.Before.Ctime)
	e.Bool(true)
	putAttr(e, &w.After)
}

// putHandle appends nfs_fh3.
func (s *service) putHandle(e *xdr.Encoder, id vfs.ID) {
	e.Uint32(vfs.HandleSize)
	e.Set(s.handles.Append(e.Bytes(), id))
	e.Pad(vfs.HandleSize)
}

const handleSize = 4 + vfs.HandleSize

// time_how (RFC 1813 section 2.6).
const (
	dontChange      = 0
	setToServerTime = 1
	setToClientTime = 2
)

const modeBits = 07777

// getSetAttr decodes sattr3. What it returns may be refused by
// checkSetAttr. An owner or group of -1 is none: it stays as it is, as it does
// in chown(2).
func getSetAttr(d *xdr.Decoder) (set vfs.SetAttr) {
	if d.Bool() {
		mode := d.Uint32() & modeBits
		set.Mode = &mode
	}
	if d.Bool() {
		if uid := d.Uint32(); uid != vfs.NoID {
			set.UID = &uid
		}
	}
	if d.Bool() {
		if gid := d.Uint32(); gid != vfs.NoID {
			set.GID = &gid
		}
	}
	if d.Bool() {
		size := d.Uint64()
		set.Size = &size
	}
	set.Atime = getTimeSet(d)
	set.Mtime = getTimeSet(d)
	return set
}

func getTimeSet(d *xdr.Decoder) *vfs.TimeSet {
	switch d.Enum(setToClientTime) {
	case setToServerTime:
		return &vfs.TimeSet{Now: true}
	case setToClientTime:
		return &vfs.TimeSet{Time: getTime(d)}
	}
	return nil
}

func getTime(d *xdr.Decoder) vfs.Time {
	return vfs.Time{Sec: int64(d.Uint32()), Nsec: d.Uint32()}
}

// checkSetAttr refuses what can be decoded but not meant: a size beyond the
// largest file, and nanoseconds of a second or more.
func checkSetAttr(set *vfs.SetAttr) error {
	if set.Size != nil && *set.Size > vfs.MaxFileSize {
		return vfs.EFBIG
	}
	for _, t := range []*vfs.TimeSet{set.Atime, set.Mtime} {
		if t != nil && t.Time.Nsec >= 1e9 {
			return vfs.EINVAL
		}
	}
	return nil
}
