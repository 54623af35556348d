package v3

import (
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// lookup is LOOKUP (RFC 1813 section 3.3.3).
func (s *service) lookup(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, name := c.Args.Opaque(maxHandle), getName(&c.Args)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	dir, err := s.enter(c, handle, req)
	var child, dirAttr vfs.Attr
	if err == nil {
		if err = name.err; err != nil {
			dirAttr = s.dirAttr(req, dir)
		} else {
			child, dirAttr, err = s.fs.Lookup(req, dir, name.name)
		}
	}
	if s.putStatus(c, err) {
		s.putHandle(c.Reply, child.ID)
		putPostOp(c.Reply, &child)
	}
	putPostOp(c.Reply, &dirAttr)
	return sunrpc.Success
}

// readlink is READLINK (RFC 1813 section 3.3.5).
func (s *service) readlink(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle := c.Args.Opaque(maxHandle)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var target string
	var attr vfs.Attr
	if err == nil {
		target, attr, err = s.fs.Readlink(req, id)
	}
	ok := s.putStatus(c, err)
	putPostOp(c.Reply, &attr)
	if ok {
		c.Reply.String(target)
	}
	return sunrpc.Success
}
