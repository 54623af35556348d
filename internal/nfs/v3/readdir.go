package v3

import (
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/xdr"
)

const (
	// maxListing bounds a READDIR or READDIRPLUS reply, whatever is asked for.
	maxListing = 256 << 10
	// cookieVerf is every directory's cookie verifier. Cookies are permanent,
	// so a listing can always go on, and any verifier is taken.
	cookieVerf = 0
	// listingFrame is a listing without entries: attributes, verifier, the
	// end of the list, eof.
	listingFrame = postOpSize + 8 + 4 + 4
)

// readdir is READDIR (RFC 1813 section 3.3.16).
func (s *service) readdir(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, cookie := c.Args.Opaque(maxHandle), c.Args.Uint64()
	c.Args.Uint64() // cookie verifier
	count := c.Args.Uint32()
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	return s.list(c, req, handle, cookie, &listing{service: s, out: c.Reply, maxCount: count, dirCount: count})
}

// readdirplus is READDIRPLUS (RFC 1813 section 3.3.17).
func (s *service) readdirplus(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, cookie := c.Args.Opaque(maxHandle), c.Args.Uint64()
	c.Args.Uint64() // cookie verifier
	dirCount, maxCount := c.Args.Uint32(), c.Args.Uint32()
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	return s.list(c, req, handle, cookie, &listing{service: s, out: c.Reply, maxCount: maxCount, dirCount: dirCount, plus: true})
}

// readdirWeight is the listing that a READDIR will hold.
func readdirWeight(args []byte) int {
	d := xdr.NewDecoder(args)
	d.Opaque(maxHandle)
	d.Uint64()
	d.Uint64()
	return int(min(d.Uint32(), maxListing))
}

// readdirplusWeight is the listing that a READDIRPLUS will hold.
func readdirplusWeight(args []byte) int {
	d := xdr.NewDecoder(args)
	d.Opaque(maxHandle)
	d.Uint64()
	d.Uint64()
	d.Uint32()
	return int(min(d.Uint32(), maxListing))
}

func (s *service) list(c *sunrpc.Call, req *vfs.Request, handle []byte, cookie uint64, l *listing) sunrpc.AcceptStat {
	start := c.Reply.Len()
	c.Reply.Uint32(nfs3OK)
	l.begin()
	dir, err := s.enter(c, handle, req)
	var eof bool
	var attr vfs.Attr
	if err == nil {
		eof, attr, err = s.fs.ReadDir(req, dir, cookie, l.plus, l.add)
	}
	switch {
	case err != nil:
		c.Reply.Truncate(start)
		s.putStatus(c, err)
		putPostOp(c.Reply, &attr)
	case l.entries == 0 && !eof, l.maxCount < listingFrame:
		c.Reply.Truncate(start)
		c.Status = nfs3ErrTooSmall
		c.Reply.Uint32(nfs3ErrTooSmall)
		putPostOp(c.Reply, &attr)
	default:
		l.end(&attr, eof)
	}
	return sunrpc.Success
}

// listing encodes READDIR3resok or READDIRPLUS3resok within its limits.
type listing struct {
	service  *service
	out      *xdr.Encoder
	plus     bool
	maxCount uint32 // bytes of the whole result
	dirCount uint32 // bytes of entries without attributes and handles; a hint
	start    int
	dirBytes int
	entries  int
}

// begin leaves room for the directory's attributes, which are known late.
func (l *listing) begin() {
	l.maxCount = min(l.maxCount, maxListing)
	l.start = l.out.Len()
	for range postOpSize / 4 {
		l.out.Uint32(0)
	}
	l.out.Uint64(cookieVerf)
}

// add appends an entry if it fits. The first one is not held to dirCount:
// a hint must not make a directory impossible to list.
func (l *listing) add(e vfs.DirEntry) bool {
	plain := 4 + 8 + xdr.OpaqueSize(len(e.Name)) + 8
	size := plain
	if l.plus {
		size += 4 + 4
		if e.Attr != nil {
			size += fattrSize + handleSize
		}
	}
	const tail = 4 + 4 // end of the list, eof
	if l.out.Len()-l.start+size+tail > int(l.maxCount) {
		return false
	}
	if l.entries > 0 && l.dirBytes+plain > int(l.dirCount) {
		return false
	}
	l.dirBytes += plain
	l.entries++
	l.out.Bool(true)
	l.out.Uint64(e.ID.Inode)
	l.out.String(e.Name)
	l.out.Uint64(e.Cookie)
	if l.plus {
		l.addPlus(&e)
	}
	return true
}

// addPlus appends name_attributes and name_handle: neither for an entry whose
// inode went away meanwhile, or which the caller could not look up.
func (l *listing) addPlus(e *vfs.DirEntry) {
	if e.Attr == nil {
		l.out.Bool(false)
		l.out.Bool(false)
		return
	}
	l.out.Bool(true)
	putAttr(l.out, e.Attr)
	l.out.Bool(true)
	l.service.putHandle(l.out, e.Attr.ID)
}

func (l *listing) end(dir *vfs.Attr, eof bool) {
	l.out.Bool(false)
	l.out.Bool(eof)
	head := xdr.NewEncoder(l.out.Bytes()[: l.start : l.start+postOpSize])
	head.Bool(true)
	putAttr(&head, dir)
}
