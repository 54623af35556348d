package v3

import (
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// remove is REMOVE (RFC 1813 section 3.3.12).
func (s *service) remove(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	return s.unlink(c, req, s.fs.Remove)
}

// rmdir is RMDIR (RFC 1813 section 3.3.13).
func (s *service) rmdir(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	return s.unlink(c, req, s.fs.Rmdir)
}

func (s *service) unlink(c *sunrpc.Call, req *vfs.Request,
	op func(*vfs.Request, vfs.ID, string) (vfs.WCC, error)) sunrpc.AcceptStat {
	handle, name := c.Args.Opaque(maxHandle), getName(&c.Args)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	dir, err := s.enter(c, handle, req)
	var wcc vfs.WCC
	if err == nil {
		if err = name.err; err != nil {
			wcc = s.unchanged(req, dir)
		} else {
			wcc, err = op(req, dir, name.name)
		}
	}
	s.putStatus(c, err)
	putWCC(c.Reply, &wcc)
	return sunrpc.Success
}

// rename is RENAME (RFC 1813 section 3.3.14).
func (s *service) rename(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	fromHandle, fromName := c.Args.Opaque(maxHandle), getName(&c.Args)
	toHandle, toName := c.Args.Opaque(maxHandle), getName(&c.Args)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	from, to, err := s.enterTwo(c, fromHandle, toHandle, req)
	var fromWCC, toWCC vfs.WCC
	if err == nil {
		if err = fromName.err; err == nil {
			err = toName.err
		}
		if err != nil {
			fromWCC, toWCC = s.unchanged(req, from), s.unchanged(req, to)
		} else {
			fromWCC, toWCC, err = s.fs.Rename(req, from, fromName.name, to, toName.name)
		}
	}
	s.putStatus(c, err)
	putWCC(c.Reply, &fromWCC)
	putWCC(c.Reply, &toWCC)
	return sunrpc.Success
}

// link is LINK (RFC 1813 section 3.3.15).
func (s *service) link(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle := c.Args.Opaque(maxHandle)
	dirHandle, name := c.Args.Opaque(maxHandle), getName(&c.Args)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, dir, err := s.enterTwo(c, handle, dirHandle, req)
	var attr vfs.Attr
	var wcc vfs.WCC
	if err == nil {
		if err = name.err; err != nil {
			attr, wcc = s.dirAttr(req, id), s.unchanged(req, dir)
		} else {
			attr, wcc, err = s.fs.Link(req, id, dir, name.name)
		}
	}
	s.putStatus(c, err)
	putPostOp(c.Reply, &attr)
	putWCC(c.Reply, &wcc)
	return sunrpc.Success
}

// enterTwo is enter for an operation on two inodes, which must be of one
// share.
func (s *service) enterTwo(c *sunrpc.Call, first, second []byte, req *vfs.Request) (a, b vfs.ID, err error) {
	if b, err = s.handles.Parse(second); err != nil {
		return a, b, err
	}
	if a, err = s.enter(c, first, req); err == nil && a.Share != b.Share {
		err = vfs.EXDEV
	}
	return a, b, err
}
