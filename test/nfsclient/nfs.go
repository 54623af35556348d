package nfsclient

import (
	"errors"

	"github.com/dittofs/dittofs/internal/xdr"
)

// Procedures of NFS version 3.
const (
	ProcNull uint32 = iota
	ProcGetAttr
	ProcSetAttr
	ProcLookup
	ProcAccess
	ProcReadlink
	ProcRead
	ProcWrite
	ProcCreate
	ProcMkdir
	ProcSymlink
	ProcMknod
	ProcRemove
	ProcRmdir
	ProcRename
	ProcLink
	ProcReaddir
	ProcReaddirPlus
	ProcFSStat
	ProcFSInfo
	ProcPathConf
	ProcCommit
)

// call makes an NFS call. It returns a decoder of the results behind the
// status, and the status as an error.
func (c *Client) call(proc uint32, put func(*xdr.Encoder)) (*xdr.Decoder, error) {
	var e xdr.Encoder
	if put != nil {
		put(&e)
	}
	res, err := c.Call(ProgramNFS, 3, proc, e.Bytes())
	if err != nil {
		return &xdr.Decoder{}, err
	}
	d := xdr.NewDecoder(res)
	if st := d.Uint32(); st != 0 {
		return &d, Status(st)
	}
	return &d, d.Err()
}

// finish is err, or the failure to decode the reply.
func finish(d *xdr.Decoder, err error) error {
	var status Status
	if (err == nil || errors.As(err, &status)) && d.Err() != nil {
		return d.Err()
	}
	return err
}

// Null does nothing.
func (c *Client) Null() error {
	_, err := c.Call(ProgramNFS, 3, ProcNull, nil)
	return err
}

// GetAttr is GETATTR.
func (c *Client) GetAttr(h Handle) (*Attr, error) {
	d, err := c.call(ProcGetAttr, func(e *xdr.Encoder) { e.Opaque(h) })
	if err != nil {
		return nil, err
	}
	return getAttr(d), d.Err()
}

// SetAttr is SETATTR; guard may be nil.
func (c *Client) SetAttr(h Handle, set SetAttr, guard *Time) (WCC, error) {
	d, err := c.call(ProcSetAttr, func(e *xdr.Encoder) {
		e.Opaque(h)
		putSetAttr(e, &set)
		e.Bool(guard != nil)
		if guard != nil {
			e.Uint32(guard.Sec)
			e.Uint32(guard.Nsec)
		}
	})
	w := getWCC(d)
	return w, finish(d, err)
}

// Node is an inode that an operation found or made, and its directory.
type Node struct {
	Handle Handle
	Attr   *Attr
	Dir    *Attr // of LOOKUP
	DirWCC WCC   // of the others
}

func putDirOp(e *xdr.Encoder, dir Handle, name string) {
	e.Opaque(dir)
	e.String(name)
}

// Lookup is LOOKUP.
func (c *Client) Lookup(dir Handle, name string) (Node, error) {
	var n Node
	d, err := c.call(ProcLookup, func(e *xdr.Encoder) { putDirOp(e, dir, name) })
	if err == nil {
		n.Handle, n.Attr = getHandle(d), getPostOp(d)
	}
	n.Dir = getPostOp(d)
	return n, finish(d, err)
}

// Access is ACCESS.
func (c *Client) Access(h Handle, mask uint32) (granted uint32, attr *Attr, err error) {
	d, err := c.call(ProcAccess, func(e *xdr.Encoder) {
		e.Opaque(h)
		e.Uint32(mask)
	})
	attr = getPostOp(d)
	if err == nil {
		granted = d.Uint32()
	}
	return granted, attr, finish(d, err)
}

// Readlink is READLINK.
func (c *Client) Readlink(h Handle) (target string, attr *Attr, err error) {
	d, err := c.call(ProcReadlink, func(e *xdr.Encoder) { e.Opaque(h) })
	attr = getPostOp(d)
	if err == nil {
		target = d.String(maxReply)
	}
	return target, attr, finish(d, err)
}

// ReadResult is what READ returns.
type ReadResult struct {
	Data []byte
	EOF  bool
	Attr *Attr
}

// Read is READ.
func (c *Client) Read(h Handle, off uint64, count uint32) (ReadResult, error) {
	var r ReadResult
	d, err := c.call(ProcRead, func(e *xdr.Encoder) {
		e.Opaque(h)
		e.Uint64(off)
		e.Uint32(count)
	})
	r.Attr = getPostOp(d)
	if err == nil {
		n := d.Uint32()
		r.EOF, r.Data = d.Bool(), d.Opaque(maxReply)
		if int(n) != len(r.Data) {
			d.Fail(xdr.ErrInvalid)
		}
	}
	return r, finish(d, err)
}

// Stabilities of WRITE.
const (
	Unstable = 0
	DataSync = 1
	FileSync = 2
)

// WriteResult is what WRITE and COMMIT return.
type WriteResult struct {
	Count, Committed uint32
	Verifier         [8]byte
	WCC              WCC
}

// Write is WRITE.
func (c *Client) Write(h Handle, off uint64, data []byte, stable uint32) (WriteResult, error) {
	var r WriteResult
	d, err := c.call(ProcWrite, func(e *xdr.Encoder) {
		e.Set(make([]byte, 0, len(data)+128))
		e.Opaque(h)
		e.Uint64(off)
		e.Uint32(uint32(len(data)))
		e.Uint32(stable)
		e.Opaque(data)
	})
	r.WCC = getWCC(d)
	if err == nil {
		r.Count, r.Committed = d.Uint32(), d.Uint32()
		copy(r.Verifier[:], d.Fixed(8))
	}
	return r, finish(d, err)
}

// Commit is COMMIT.
func (c *Client) Commit(h Handle, off uint64, count uint32) (WriteResult, error) {
	var r WriteResult
	d, err := c.call(ProcCommit, func(e *xdr.Encoder) {
		e.Opaque(h)
		e.Uint64(off)
		e.Uint32(count)
	})
	r.WCC = getWCC(d)
	if err == nil {
		copy(r.Verifier[:], d.Fixed(8))
	}
	return r, finish(d, err)
}

// Modes of CREATE.
const (
	Unchecked = 0
	Guarded   = 1
	Exclusive = 2
)

func (c *Client) makeNode(proc uint32, put func(*xdr.Encoder)) (Node, error) {
	var n Node
	d, err := c.call(proc, put)
	if err == nil {
		n.Handle, n.Attr = getPostOpHandle(d), getPostOp(d)
	}
	n.DirWCC = getWCC(d)
	return n, finish(d, err)
}

// Create is CREATE. verf is the 8 bytes of an Exclusive one.
func (c *Client) Create(dir Handle, name string, how uint32, set SetAttr, verf []byte) (Node, error) {
	return c.makeNode(ProcCreate, func(e *xdr.Encoder) {
		putDirOp(e, dir, name)
		e.Uint32(how)
		if how == Exclusive {
			e.Fixed(verf)
		} else {
			putSetAttr(e, &set)
		}
	})
}

// Mkdir is MKDIR.
func (c *Client) Mkdir(dir Handle, name string, set SetAttr) (Node, error) {
	return c.makeNode(ProcMkdir, func(e *xdr.Encoder) {
		putDirOp(e, dir, name)
		putSetAttr(e, &set)
	})
}

// Symlink is SYMLINK.
func (c *Client) Symlink(dir Handle, name, target string, set SetAttr) (Node, error) {
	return c.makeNode(ProcSymlink, func(e *xdr.Encoder) {
		putDirOp(e, dir, name)
		putSetAttr(e, &set)
		e.String(target)
	})
}

// Mknod is MKNOD.
func (c *Client) Mknod(dir Handle, name string, typ uint32, set SetAttr, major, minor uint32) (Node, error) {
	return c.makeNode(ProcMknod, func(e *xdr.Encoder) {
		putDirOp(e, dir, name)
		e.Uint32(typ)
		switch typ {
		case TypeChr, TypeBlk:
			putSetAttr(e, &set)
			e.Uint32(major)
			e.Uint32(minor)
		case TypeSock, TypeFIFO:
			putSetAttr(e, &set)
		}
	})
}

// Remove is REMOVE.
func (c *Client) Remove(dir Handle, name string) (WCC, error) {
	d, err := c.call(ProcRemove, func(e *xdr.Encoder) { putDirOp(e, dir, name) })
	w := getWCC(d)
	return w, finish(d, err)
}

// Rmdir is RMDIR.
func (c *Client) Rmdir(dir Handle, name string) (WCC, error) {
	d, err := c.call(ProcRmdir, func(e *xdr.Encoder) { putDirOp(e, dir, name) })
	w := getWCC(d)
	return w, finish(d, err)
}

// Rename is RENAME.
func (c *Client) Rename(from Handle, fromName string, to Handle, toName string) (fromWCC, toWCC WCC, err error) {
	d, err := c.call(ProcRename, func(e *xdr.Encoder) {
		putDirOp(e, from, fromName)
		putDirOp(e, to, toName)
	})
	fromWCC, toWCC = getWCC(d), getWCC(d)
	return fromWCC, toWCC, finish(d, err)
}

// Link is LINK.
func (c *Client) Link(h Handle, dir Handle, name string) (*Attr, WCC, error) {
	d, err := c.call(ProcLink, func(e *xdr.Encoder) {
		e.Opaque(h)
		putDirOp(e, dir, name)
	})
	attr, w := getPostOp(d), getWCC(d)
	return attr, w, finish(d, err)
}
