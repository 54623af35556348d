package v3

import (
	"bytes"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/xdr"
)

// maxString is the longest name or path that is decoded at all: longer than
// what the filesystem takes, so that too long is NAMETOOLONG and not garbage.
const maxString = 64 << 10

// filename is a diropargs3 name as it came, and what is wrong with it.
type filename struct {
	name string
	err  error
}

// getName decodes filename3. An empty name, and one with a character that no
// name can have, is ACCES (RFC 1813 section 3.2).
func getName(d *xdr.Decoder) filename {
	b := d.Opaque(maxString)
	switch {
	case len(b) == 0 || bytes.IndexByte(b, '/') >= 0 || bytes.IndexByte(b, 0) >= 0:
		return filename{err: vfs.EACCES}
	case len(b) > vfs.MaxName:
		return filename{err: vfs.ENAMETOOLONG}
	}
	return filename{name: string(b)}
}

// dirAttr are the attributes of a directory in which nothing was done, for
// the reply of an operation that is refused beforehand; zero if there are
// none to be had.
func (s *service) dirAttr(req *vfs.Request, dir vfs.ID) vfs.Attr {
	attr, err := s.fs.GetAttr(req, dir)
	if err != nil {
		return vfs.Attr{}
	}
	return attr
}

// unchanged is the WCC data of a directory in which nothing was done.
func (s *service) unchanged(req *vfs.Request, dir vfs.ID) vfs.WCC {
	attr := s.dirAttr(req, dir)
	return vfs.WCC{Valid: attr.Type != 0, Before: attr, After: attr}
}
