package v3

import (
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// fsstat is FSSTAT (RFC 1813 section 3.3.18).
func (s *service) fsstat(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle := c.Args.Opaque(maxHandle)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var st vfs.StatFS
	var attr vfs.Attr
	if err == nil {
		st, attr, err = s.fs.StatFS(req, id)
	}
	ok := s.putStatus(c, err)
	putPostOp(c.Reply, &attr)
	if ok {
		for _, n := range []uint64{
			st.TotalBytes, st.FreeBytes, st.AvailBytes, st.TotalInodes, st.FreeInodes, st.AvailInodes,
		} {
			c.Reply.Uint64(n)
		}
		c.Reply.Uint32(0) // invarsec: may change at any time
	}
	return sunrpc.Success
}

// What FSINFO says of this server.
const (
	ioMultiple   = 4096
	preferredDir = 64 << 10

	fsfLink        = 0x01
	fsfSymlink     = 0x02
	fsfHomogeneous = 0x08
	fsfCanSetTime  = 0x10
)

// fsinfo is FSINFO (RFC 1813 section 3.3.19).
func (s *service) fsinfo(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	attr, decoded, err := s.attrOf(c, req)
	if !decoded {
		return sunrpc.GarbageArgs
	}
	ok := s.putStatus(c, err)
	putPostOp(c.Reply, &attr)
	if ok {
		for _, n := range []uint32{
			MaxIO, MaxIO, ioMultiple, // rtmax, rtpref, rtmult
			MaxIO, MaxIO, ioMultiple, // wtmax, wtpref, wtmult
			preferredDir,
		} {
			c.Reply.Uint32(n)
		}
		c.Reply.Uint64(vfs.MaxFileSize)
		c.Reply.Uint32(0) // time_delta: one nanosecond
		c.Reply.Uint32(1)
		c.Reply.Uint32(fsfLink | fsfSymlink | fsfHomogeneous | fsfCanSetTime)
	}
	return sunrpc.Success
}

// pathconf is PATHCONF (RFC 1813 section 3.3.20).
func (s *service) pathconf(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	attr, decoded, err := s.attrOf(c, req)
	if !decoded {
		return sunrpc.GarbageArgs
	}
	ok := s.putStatus(c, err)
	putPostOp(c.Reply, &attr)
	if ok {
		c.Reply.Uint32(vfs.MaxLinks)
		c.Reply.Uint32(vfs.MaxName)
		c.Reply.Bool(true)  // no_trunc
		c.Reply.Bool(true)  // chown_restricted
		c.Reply.Bool(false) // case_insensitive
		c.Reply.Bool(true)  // case_preserving
	}
	return sunrpc.Success
}

// attrOf serves a procedure whose only argument is a handle, and which needs
// only the attributes.
func (s *service) attrOf(c *sunrpc.Call, req *vfs.Request) (attr vfs.Attr, decoded bool, err error) {
	handle := c.Args.Opaque(maxHandle)
	if c.Args.Err() != nil {
		return attr, false, nil
	}
	id, err := s.enter(c, handle, req)
	if err == nil {
		attr, err = s.fs.GetAttr(req, id)
	}
	return attr, true, err
}
