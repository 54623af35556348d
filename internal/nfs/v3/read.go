package v3

import (
	"errors"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/xdr"
)

// read is READ (RFC 1813 section 3.3.6). What is in memory is answered at
// once; what would have to be waited for, in a second run that may wait.
func (s *service) read(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, off, count := c.Args.Opaque(maxHandle), c.Args.Uint64(), c.Args.Uint32()
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.enter(c, handle, req)
	var buf vfs.Buffer
	var eof bool
	var attr vfs.Attr
	if err == nil {
		buf, eof, attr, err = s.fs.Read(req, id, off, min(count, MaxIO), !c.MayBlock)
	}
	if !c.MayBlock && errors.Is(err, vfs.ErrWouldBlock) {
		return sunrpc.WouldBlock
	}
	ok := s.putStatus(c, err)
	putPostOp(c.Reply, &attr)
	if !ok {
		return sunrpc.Success
	}
	if buf == nil {
		c.Reply.Uint32(0)
		c.Reply.Bool(eof)
		c.Reply.Uint32(0)
		return sunrpc.Success
	}
	c.Reply.Uint32(uint32(len(buf.Bytes())))
	c.Reply.Bool(eof)
	c.AppendOpaque(buf)
	return sunrpc.Success
}

// readWeight is the data that a READ will hold.
func readWeight(args []byte) int {
	d := xdr.NewDecoder(args)
	d.Opaque(maxHandle)
	d.Uint64()
	return int(min(d.Uint32(), MaxIO))
}
