package vfs

import "context"

// FileSystem is what a protocol needs of the filesystem. Each method checks
// permissions for req.Cred and returns an Errno (see errors.go) or nil; any
// other error is a defect and maps to EIO. Attributes returned beside an
// error are valid where WCC.Valid or a non-zero Attr.Type says so, so that
// protocols can answer post-operation attributes on failures too.
//
// Changes are durable when a method returns, except Write with Unstable.
type FileSystem interface {
	// Root is the top directory of a share.
	Root(share uint32) (ID, error)

	// Ahead is told of GetAttr, Lookup and Access calls that come together and
	// follow at once, so that those answered from memory wait for it together.
	// It is a hint: it checks nothing, changes nothing and waits for nothing.
	// It takes MaxComing at most, and reports whether it was of use: callers
	// save themselves the work for a while if not.
	Ahead(coming []Coming) bool

	GetAttr(req *Request, id ID) (Attr, error)
	// SetAttr changes attributes; with guard, only if ctime still equals it,
	// else NOT_SYNC.
	SetAttr(req *Request, id ID, set SetAttr, guard *Time) (WCC, error)
	// Lookup finds name in dir; "." and ".." included (".." of a share's root
	// is the root itself).
	Lookup(req *Request, dir ID, name string) (child, dirAttr Attr, err error)
	// Access returns the subset of mask that is allowed.
	Access(req *Request, id ID, mask AccessMask) (AccessMask, Attr, error)
	Readlink(req *Request, id ID) (target string, attr Attr, err error)

	// Read returns up to count bytes at off, and at most 8 MiB. eof is true if the read reached
	// the end of the file. With noWait it returns ErrWouldBlock instead of
	// waiting for a slow store. A READ of something else than a regular file
	// is INVAL (ISDIR for directories).
	Read(req *Request, id ID, off uint64, count uint32, noWait bool) (buf Buffer, eof bool, attr Attr, err error)
	// Write stores all of p at off. committed is at least what was asked for.
	Write(req *Request, id ID, off uint64, p []byte, how Stability) (committed Stability, wcc WCC, err error)
	// Commit makes all unstable data of the range durable (count 0: to the end).
	Commit(req *Request, id ID, off uint64, count uint32) (WCC, error)
	// WriteVerifier is the verifier for WRITE and COMMIT replies.
	WriteVerifier() Verifier

	// Create makes a regular file, or opens an existing one as how says.
	// For CreateExclusive set must be empty and verf is remembered.
	Create(req *Request, dir ID, name string, how CreateMode, set SetAttr,
		verf Verifier) (child Attr, dirWCC WCC, err error)
	Mkdir(req *Request, dir ID, name string, set SetAttr) (child Attr, dirWCC WCC, err error)
	Symlink(req *Request, dir ID, name, target string, set SetAttr) (child Attr, dirWCC WCC, err error)
	// Mknod makes a FIFO, socket, or character or block special file.
	Mknod(req *Request, dir ID, name string, typ FileType, dev Device, set SetAttr) (child Attr, dirWCC WCC, err error)
	Remove(req *Request, dir ID, name string) (dirWCC WCC, err error)
	Rmdir(req *Request, dir ID, name string) (dirWCC WCC, err error)
	Rename(req *Request, fromDir ID, fromName string, toDir ID, toName string) (fromWCC, toWCC WCC, err error)
	Link(req *Request, id ID, dir ID, name string) (attr Attr, dirWCC WCC, err error)

	// ReadDir calls emit for the entries after a position, in the order of their
	// cookies, until emit returns false. A listing ends where the directory
	// ended when it began, whatever is added meanwhile: who carries Listed.End
	// from one call to the next meets what stands through it exactly once. With
	// attrs each entry carries its inode's attributes, if the credential may
	// search the directory. It begins with "." and ".." (cookies 1 and 2).
	ReadDir(req *Request, dir ID, from Position, attrs bool,
		emit func(DirEntry) bool) (listed Listed, dirAttr Attr, err error)

	// Hold keeps a regular file alive until release is called, also when its last
	// name is removed meanwhile.
	Hold(ctx context.Context, id ID) (release func(), err error)

	StatFS(req *Request, id ID) (StatFS, Attr, error)
}
