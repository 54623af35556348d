package v3

import (
	"strconv"

	"github.com/dittofs/dittofs/internal/vfs"
)

// nfsstat3 (RFC 1813 section 2.6).
const (
	nfs3OK             = 0
	nfs3ErrPerm        = 1
	nfs3ErrNoEnt       = 2
	nfs3ErrIO          = 5
	nfs3ErrAcces       = 13
	nfs3ErrExist       = 17
	nfs3ErrXDev        = 18
	nfs3ErrNotDir      = 20
	nfs3ErrIsDir       = 21
	nfs3ErrInval       = 22
	nfs3ErrFBig        = 27
	nfs3ErrNoSpc       = 28
	nfs3ErrROFS        = 30
	nfs3ErrMLink       = 31
	nfs3ErrNameTooLong = 63
	nfs3ErrNotEmpty    = 66
	nfs3ErrDQuot       = 69
	nfs3ErrStale       = 70
	nfs3ErrBadHandle   = 10001
	nfs3ErrNotSync     = 10002
	nfs3ErrBadCookie   = 10003
	nfs3ErrTooSmall    = 10005
	nfs3ErrServerFault = 10006
	nfs3ErrBadType     = 10007
	nfs3ErrJukebox     = 10008
)

// statuses maps the filesystem's failures to the wire.
var statuses = [...]uint32{
	vfs.EPERM:        nfs3ErrPerm,
	vfs.ENOENT:       nfs3ErrNoEnt,
	vfs.EIO:          nfs3ErrIO,
	vfs.EACCES:       nfs3ErrAcces,
	vfs.EEXIST:       nfs3ErrExist,
	vfs.EXDEV:        nfs3ErrXDev,
	vfs.ENOTDIR:      nfs3ErrNotDir,
	vfs.EISDIR:       nfs3ErrIsDir,
	vfs.EINVAL:       nfs3ErrInval,
	vfs.EFBIG:        nfs3ErrFBig,
	vfs.ENOSPC:       nfs3ErrNoSpc,
	vfs.EROFS:        nfs3ErrROFS,
	vfs.EMLINK:       nfs3ErrMLink,
	vfs.ENAMETOOLONG: nfs3ErrNameTooLong,
	vfs.ENOTEMPTY:    nfs3ErrNotEmpty,
	vfs.EDQUOT:       nfs3ErrDQuot,
	vfs.ESTALE:       nfs3ErrStale,
	vfs.EBADHANDLE:   nfs3ErrBadHandle,
	vfs.ENOTSYNC:     nfs3ErrNotSync,
	vfs.EBADTYPE:     nfs3ErrBadType,
	vfs.EBADCOOKIE:   nfs3ErrBadCookie,
	vfs.EJUKEBOX:     nfs3ErrJukebox,
	// Only READ asks not to wait, and it handles this one itself.
	vfs.ErrWouldBlock: nfs3ErrJukebox,
}

func statusOf(e vfs.Errno) uint32 {
	if int(e) < len(statuses) && statuses[e] != nfs3OK {
		return statuses[e]
	}
	return nfs3ErrServerFault
}

// StatusName is a status as the RFC names it, without its prefix: "OK",
// "NOENT".
func StatusName(status uint32) string {
	switch status {
	case nfs3OK:
		return "OK"
	case nfs3ErrPerm:
		return "PERM"
	case nfs3ErrNoEnt:
		return "NOENT"
	case nfs3ErrIO:
		return "IO"
	case nfs3ErrAcces:
		return "ACCES"
	case nfs3ErrExist:
		return "EXIST"
	case nfs3ErrXDev:
		return "XDEV"
	case nfs3ErrNotDir:
		return "NOTDIR"
	case nfs3ErrIsDir:
		return "ISDIR"
	case nfs3ErrInval:
		return "INVAL"
	case nfs3ErrFBig:
		return "FBIG"
	case nfs3ErrNoSpc:
		return "NOSPC"
	case nfs3ErrROFS:
		return "ROFS"
	case nfs3ErrMLink:
		return "MLINK"
	case nfs3ErrNameTooLong:
		return "NAMETOOLONG"
	case nfs3ErrNotEmpty:
		return "NOTEMPTY"
	case nfs3ErrDQuot:
		return "DQUOT"
	case nfs3ErrStale:
		return "STALE"
	case nfs3ErrBadHandle:
		return "BADHANDLE"
	case nfs3ErrNotSync:
		return "NOT_SYNC"
	case nfs3ErrBadCookie:
		return "BAD_COOKIE"
	case nfs3ErrTooSmall:
		return "TOOSMALL"
	case nfs3ErrServerFault:
		return "SERVERFAULT"
	case nfs3ErrBadType:
		return "BADTYPE"
	case nfs3ErrJukebox:
		return "JUKEBOX"
	}
	return strconv.FormatUint(uint64(status), 10)
}
