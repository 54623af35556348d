package v3

import (
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// getattr is GETATTR (RFC 1813 section 3.3.1).
func (s *service) getattr(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle := c.Args.Opaque(maxHandle)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var attr vfs.Attr
	if err == nil {
		attr, err = s.fs.GetAttr(req, id)
	}
	if s.putStatus(c, err) {
		putAttr(c.Reply, &attr)
	}
	return sunrpc.Success
}

// setattr is SETATTR (RFC 1813 section 3.3.2).
func (s *service) setattr(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle := c.Args.Opaque(maxHandle)
	set := getSetAttr(&c.Args)
	var guard *vfs.Time
	if c.Args.Bool() {
		t := getTime(&c.Args)
		guard = &t
	}
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var wcc vfs.WCC
	if err == nil {
		if err = checkSetAttr(&set); err != nil {
			wcc = s.unchanged(req, id)
		} else {
			wcc, err = s.fs.SetAttr(req, id, set, guard)
		}
	}
	s.putStatus(c, err)
	putWCC(c.Reply, &wcc)
	return sunrpc.Success
}

// access is ACCESS (RFC 1813 section 3.3.4).
func (s *service) access(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, mask := c.Args.Opaque(maxHandle), c.Args.Uint32()
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var attr vfs.Attr
	var granted vfs.AccessMask
	if err == nil {
		granted, attr, err = s.fs.Access(req, id, vfs.AccessMask(mask))
	}
	ok := s.putStatus(c, err)
	putPostOp(c.Reply, &attr)
	if ok {
		c.Reply.Uint32(uint32(granted))
	}
	return sunrpc.Success
}
