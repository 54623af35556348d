package v3

import (
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// makeNode is what the four procedures that make an inode have in common: the
// checks before, and the results, which have one shape.
func (s *service) makeNode(c *sunrpc.Call, req *vfs.Request, handle []byte, name filename, set *vfs.SetAttr,
	op func(dir vfs.ID) (vfs.Attr, vfs.WCC, error)) sunrpc.AcceptStat {
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	dir, err := s.enter(c, handle, req)
	var child vfs.Attr
	var wcc vfs.WCC
	if err == nil {
		if err = name.err; err == nil {
			err = checkSetAttr(set)
		}
		if err != nil {
			wcc = s.unchanged(req, dir)
		} else {
			child, wcc, err = op(dir)
		}
	}
	if s.putStatus(c, err) {
		c.Reply.Bool(true)
		s.putHandle(c.Reply, child.ID)
		putPostOp(c.Reply, &child)
	}
	putWCC(c.Reply, &wcc)
	return sunrpc.Success
}

// create is CREATE (RFC 1813 section 3.3.8).
func (s *service) create(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, name := c.Args.Opaque(maxHandle), getName(&c.Args)
	how := vfs.CreateMode(c.Args.Enum(uint32(vfs.CreateExclusive)))
	var set vfs.SetAttr
	var verf vfs.Verifier
	if how == vfs.CreateExclusive {
		copy(verf[:], c.Args.Fixed(len(verf)))
	} else {
		set = getSetAttr(&c.Args)
	}
	return s.makeNode(c, req, handle, name, &set, func(dir vfs.ID) (vfs.Attr, vfs.WCC, error) {
		return s.fs.Create(req, dir, name.name, how, set, verf)
	})
}

// mkdir is MKDIR (RFC 1813 section 3.3.9).
func (s *service) mkdir(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, name := c.Args.Opaque(maxHandle), getName(&c.Args)
	set := getSetAttr(&c.Args)
	return s.makeNode(c, req, handle, name, &set, func(dir vfs.ID) (vfs.Attr, vfs.WCC, error) {
		return s.fs.Mkdir(req, dir, name.name, set)
	})
}

// symlink is SYMLINK (RFC 1813 section 3.3.10).
func (s *service) symlink(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, name := c.Args.Opaque(maxHandle), getName(&c.Args)
	set := getSetAttr(&c.Args)
	target := c.Args.String(maxString)
	if name.err == nil && len(target) > vfs.MaxPath {
		name.err = vfs.ENAMETOOLONG
	}
	return s.makeNode(c, req, handle, name, &set, func(dir vfs.ID) (vfs.Attr, vfs.WCC, error) {
		return s.fs.Symlink(req, dir, name.name, target, set)
	})
}

// mknod is MKNOD (RFC 1813 section 3.3.11).
func (s *service) mknod(c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat {
	handle, name := c.Args.Opaque(maxHandle), getName(&c.Args)
	typ := getType(c.Args.Uint32())
	var set vfs.SetAttr
	var dev vfs.Device
	switch typ {
	case vfs.TypeChar, vfs.TypeBlock:
		set = getSetAttr(&c.Args)
		dev = vfs.Device{Major: c.Args.Uint32(), Minor: c.Args.Uint32()}
	case vfs.TypeSocket, vfs.TypeFIFO:
		set = getSetAttr(&c.Args)
	default: // no attributes follow, and it cannot be made here
		if name.err == nil {
			name.err = vfs.EBADTYPE
		}
	}
	return s.makeNode(c, req, handle, name, &set, func(dir vfs.ID) (vfs.Attr, vfs.WCC, error) {
		return s.fs.Mknod(req, dir, name.name, typ, dev, set)
	})
}

// getType is the type with an ftype3's number, 0 if there is none.
func getType(n uint32) vfs.FileType {
	for typ, number := range ftypes {
		if number == n {
			return vfs.FileType(typ)
		}
	}
	return 0
}
