package v3

import (
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/xdr"
)

const (
	// maxListing bounds a READDIR or READDIRPLUS reply, whatever is asked for.
	maxListing = 256 << 10
	// listingFrame is a listing without entries: the head, the end of the list,
	// eof.
	listingFrame = listingHead + 4 + 4
)

// readdir is READDIR (RFC 1813 section 3.3.16).
func (s *service) readdir(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, from := c.Args.Opaque(maxHandle), getPosition(&c.Args)
	count := c.Args.Uint32()
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	return s.list(c, req, handle, from, &listing{service: s, out: c.Reply, maxCount: count, dirCount: count})
}

// readdirplus is READDIRPLUS (RFC 1813 section 3.3.17).
func (s *service) readdirplus(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, from := c.Args.Opaque(maxHandle), getPosition(&c.Args)
	dirCount, maxCount := c.Args.Uint32(), c.Args.Uint32()
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	return s.list(c, req, handle, from, &listing{
		service: s, out: c.Reply, maxCount: maxCount, dirCount: dirCount, plus: true,
	})
}

// readdirWeight is the listing that a READDIR will hold.
func readdirWeight(args []byte) int {
	d := xdr.NewDecoder(args)
	d.Opaque(maxHandle)
	getPosition(&d)
	return int(min(d.Uint32(), maxListing))
}

// readdirplusWeight is the listing that a READDIRPLUS will hold.
func readdirplusWeight(args []byte) int {
	d := xdr.NewDecoder(args)
	d.Opaque(maxHandle)
	getPosition(&d)
	d.Uint32()
	return int(min(d.Uint32(), maxListing))
}

// getPosition decodes cookie3 and cookieverf3. The verifier is the end of the
// listing. Cookies are permanent, so a listing can always go on: a client that
// sends no verifier lists up to where the directory ends now.
func getPosition(d *xdr.Decoder) vfs.Position {
	return vfs.Position{Cookie: d.Uint64(), End: d.Uint64()}
}

func (s *service) list(
	c *sunrpc.Call, req *vfs.Request, handle []byte, from vfs.Position, l *listing,
) sunrpc.AcceptStat {
	start := c.Reply.Len()
	c.Reply.Uint32(nfs3OK)
	l.begin()
	dir, err := s.enter(c, handle, req)
	var listed vfs.Listed
	var attr vfs.Attr
	if err == nil {
		listed, attr, err = s.fs.ReadDir(req, dir, from, l.plus, l.add)
	}
	switch {
	case err != nil:
		c.Reply.Truncate(start)
		s.putStatus(c, err)
		putPostOp(c.Reply, &attr)
	case l.entries == 0 && !listed.EOF, l.maxCount < listingFrame:
		c.Reply.Truncate(start)
		c.Status = nfs3ErrTooSmall
		c.Reply.Uint32(nfs3ErrTooSmall)
		putPostOp(c.Reply, &attr)
	default:
		l.end(&attr, listed)
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

// listingHead is what comes before the entries: attributes and verifier.
const listingHead = postOpSize + 8

// begin leaves room for the head, which is known late.
func (l *listing) begin() {
	l.maxCount = min(l.maxCount, maxListing)
	l.start = l.out.Len()
	for range listingHead / 4 {
		l.out.Uint32(0)
	}
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

func (l *listing) end(dir *vfs.Attr, listed vfs.Listed) {
	l.out.Bool(false)
	l.out.Bool(listed.EOF)
	head := xdr.NewEncoder(l.out.Bytes()[: l.start : l.start+listingHead])
	head.Bool(true)
	putAttr(&head, dir)
	head.Uint64(listed.End)
}
