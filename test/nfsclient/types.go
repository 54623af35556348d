package nfsclient

import (
	"fmt"

	"github.com/dittofs/dittofs/internal/xdr"
)

// Handle is a file handle.
type Handle []byte

// Status is an nfsstat3 or mountstat3 other than OK.
type Status uint32

// Statuses that tests ask for (RFC 1813 section 2.6).
const (
	ErrPerm        Status = 1
	ErrNoEnt       Status = 2
	ErrIO          Status = 5
	ErrAcces       Status = 13
	ErrExist       Status = 17
	ErrXDev        Status = 18
	ErrNotDir      Status = 20
	ErrIsDir       Status = 21
	ErrInval       Status = 22
	ErrFBig        Status = 27
	ErrNoSpc       Status = 28
	ErrROFS        Status = 30
	ErrNameTooLong Status = 63
	ErrNotEmpty    Status = 66
	ErrDQuot       Status = 69
	ErrStale       Status = 70
	ErrBadHandle   Status = 10001
	ErrNotSync     Status = 10002
	ErrBadCookie   Status = 10003
	ErrTooSmall    Status = 10005
	ErrServerFault Status = 10006
	ErrBadType     Status = 10007
	ErrJukebox     Status = 10008
)

func (s Status) Error() string { return fmt.Sprintf("status %d", uint32(s)) }

// File types.
const (
	TypeReg  = 1
	TypeDir  = 2
	TypeBlk  = 3
	TypeChr  = 4
	TypeLnk  = 5
	TypeSock = 6
	TypeFIFO = 7
)

// Time is nfstime3.
type Time struct{ Sec, Nsec uint32 }

// Attr is fattr3.
type Attr struct {
	Type, Mode, Nlink, UID, GID uint32
	Size, Used                  uint64
	Major, Minor                uint32
	FSID, FileID                uint64
	Atime, Mtime, Ctime         Time
}

// WCC is wcc_data; what the server did not send is nil.
type WCC struct {
	Before *WCCAttr
	After  *Attr
}

// WCCAttr is wcc_attr.
type WCCAttr struct {
	Size         uint64
	Mtime, Ctime Time
}

// SetAttr is sattr3; nil leaves an attribute as it is.
type SetAttr struct {
	Mode, UID, GID *uint32
	Size           *uint64
	Atime, Mtime   *SetTime
}

// SetTime sets a time to the server's clock (Now) or to Time.
type SetTime struct {
	Now  bool
	Time Time
}

// Ptr returns a pointer to v, for SetAttr.
func Ptr[T any](v T) *T { return &v }

func getTime(d *xdr.Decoder) Time { return Time{d.Uint32(), d.Uint32()} }

func getAttr(d *xdr.Decoder) *Attr {
	return &Attr{
		Type: d.Uint32(), Mode: d.Uint32(), Nlink: d.Uint32(), UID: d.Uint32(), GID: d.Uint32(),
		Size: d.Uint64(), Used: d.Uint64(), Major: d.Uint32(), Minor: d.Uint32(),
		FSID: d.Uint64(), FileID: d.Uint64(),
		Atime: getTime(d), Mtime: getTime(d), Ctime: getTime(d),
	}
}

func getPostOp(d *xdr.Decoder) *Attr {
	if !d.Bool() {
		return nil
	}
	return getAttr(d)
}

func getWCC(d *xdr.Decoder) WCC {
	var w WCC
	if d.Bool() {
		w.Before = &WCCAttr{Size: d.Uint64(), Mtime: getTime(d), Ctime: getTime(d)}
	}
	w.After = getPostOp(d)
	return w
}

func getPostOpHandle(d *xdr.Decoder) Handle {
	if !d.Bool() {
		return nil
	}
	return getHandle(d)
}

func getHandle(d *xdr.Decoder) Handle { return append(Handle(nil), d.Opaque(64)...) }

func putSetAttr(e *xdr.Encoder, s *SetAttr) {
	for _, v := range []*uint32{s.Mode, s.UID, s.GID} {
		e.Bool(v != nil)
		if v != nil {
			e.Uint32(*v)
		}
	}
	e.Bool(s.Size != nil)
	if s.Size != nil {
		e.Uint64(*s.Size)
	}
	for _, t := range []*SetTime{s.Atime, s.Mtime} {
		switch {
		case t == nil:
			e.Uint32(0)
		case t.Now:
			e.Uint32(1)
		default:
			e.Uint32(2)
			e.Uint32(t.Time.Sec)
			e.Uint32(t.Time.Nsec)
		}
	}
}
