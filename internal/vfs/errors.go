package vfs

import "fmt"

// Errno is the closed set of failures of the filesystem. Each protocol
// version maps it to the wire in one table.
type Errno uint8

// Failures; named after POSIX errors where there is one.
const (
	EPERM         Errno = iota + 1 // not owner
	ENOENT                         // no such name
	EIO                            // data or metadata missing or damaged, or a store failed
	EACCES                         // permission bits refuse
	EEXIST                         // name exists
	EXDEV                          // rename or link across shares
	ENOTDIR                        // not a directory
	EISDIR                         // is a directory
	EINVAL                         // argument or file type does not fit
	EFBIG                          // beyond the largest file size
	ENOSPC                         // no space, or the cache stays full
	EROFS                          // share or client is read-only
	EMLINK                         // too many links
	ENAMETOOLONG                   // name or target too long
	ENOTEMPTY                      // directory not empty
	EDQUOT                         // share's quota is used up
	ESTALE                         // the inode is gone
	EBADHANDLE                     // a handle that this server never gave
	ENOTSYNC                       // guarded SETATTR: ctime differs
	EBADTYPE                       // type cannot be made by this call
	EBADCOOKIE                     // READDIR position that was never given
	EJUKEBOX                       // try again later
	ErrWouldBlock                  // noWait: would have to wait; never on the wire
)

var errnoText = [...]string{
	EPERM: "operation not permitted", ENOENT: "no such file or directory", EIO: "input/output error",
	EACCES: "permission denied", EEXIST: "file exists", EXDEV: "cross-share link", ENOTDIR: "not a directory",
	EISDIR: "is a directory", EINVAL: "invalid argument", EFBIG: "file too large", ENOSPC: "no space left",
	EROFS: "read-only share", EMLINK: "too many links", ENAMETOOLONG: "name too long", ENOTEMPTY: "directory not empty",
	EDQUOT: "quota exceeded", ESTALE: "stale file handle", EBADHANDLE: "bad file handle",
	ENOTSYNC: "ctime differs from guard",
	EBADTYPE: "type not supported", EBADCOOKIE: "bad directory cookie", EJUKEBOX: "try again later",
	ErrWouldBlock: "would block",
}

// Error returns the failure in words.
func (e Errno) Error() string {
	if int(e) < len(errnoText) && errnoText[e] != "" {
		return errnoText[e]
	}
	return fmt.Sprintf("errno %d", uint8(e))
}
