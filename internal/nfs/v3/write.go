package v3

import (
	"math"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// write is WRITE (RFC 1813 section 3.3.7).
func (s *service) write(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, off, count := c.Args.Opaque(maxHandle), c.Args.Uint64(), c.Args.Uint32()
	how := vfs.Stability(c.Args.Enum(uint32(vfs.FileSync)))
	data := c.Args.Opaque(math.MaxInt32)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var wcc vfs.WCC
	var committed vfs.Stability
	if err == nil {
		if uint64(count) != uint64(len(data)) {
			wcc, err = s.unchanged(req, id), vfs.EINVAL
		} else {
			// A write larger than wtmax is a short one: the client goes on.
			data = data[:min(len(data), MaxIO)]
			committed, wcc, err = s.fs.Write(req, id, off, data, how)
		}
	}
	ok := s.putStatus(c, err)
	putWCC(c.Reply, &wcc)
	if ok {
		c.Reply.Uint32(uint32(len(data)))
		c.Reply.Uint32(uint32(committed))
		s.putVerifier(c)
	}
	return sunrpc.Success
}

// commit is COMMIT (RFC 1813 section 3.3.21).
func (s *service) commit(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, off, count := c.Args.Opaque(maxHandle), c.Args.Uint64(), c.Args.Uint32()
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var wcc vfs.WCC
	if err == nil {
		if off > vfs.MaxFileSize {
			wcc, err = s.unchanged(req, id), vfs.EINVAL
		} else {
			wcc, err = s.fs.Commit(req, id, off, count)
		}
	}
	ok := s.putStatus(c, err)
	putWCC(c.Reply, &wcc)
	if ok {
		s.putVerifier(c)
	}
	return sunrpc.Success
}

func (s *service) putVerifier(c *sunrpc.Call) {
	v := s.fs.WriteVerifier()
	c.Reply.Fixed(v[:])
}
