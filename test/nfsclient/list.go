package nfsclient

import "github.com/dittofs/dittofs/internal/xdr"

// Entry is one entry of a directory. Attr and Handle are of READDIRPLUS.
type Entry struct {
	FileID uint64
	Name   string
	Cookie uint64
	Attr   *Attr
	Handle Handle
}

// Listing is what READDIR and READDIRPLUS return.
type Listing struct {
	Dir      *Attr
	Verifier uint64
	Entries  []Entry
	EOF      bool
	// Size is the encoded length of the result, without the status.
	Size int
}

// ReadDir is READDIR.
func (c *Client) ReadDir(dir Handle, cookie, verf uint64, count uint32) (Listing, error) {
	d, err := c.call(ProcReaddir, func(e *xdr.Encoder) {
		e.Opaque(dir)
		e.Uint64(cookie)
		e.Uint64(verf)
		e.Uint32(count)
	})
	return getListing(d, err, false)
}

// ReadDirPlus is READDIRPLUS.
func (c *Client) ReadDirPlus(dir Handle, cookie, verf uint64, dirCount, maxCount uint32) (Listing, error) {
	d, err := c.call(ProcReaddirPlus, func(e *xdr.Encoder) {
		e.Opaque(dir)
		e.Uint64(cookie)
		e.Uint64(verf)
		e.Uint32(dirCount)
		e.Uint32(maxCount)
	})
	return getListing(d, err, true)
}

func getListing(d *xdr.Decoder, err error, plus bool) (Listing, error) {
	l := Listing{Size: len(d.Rest()), Dir: getPostOp(d)}
	if err != nil {
		return l, finish(d, err)
	}
	l.Verifier = d.Uint64()
	for d.Bool() {
		e := Entry{FileID: d.Uint64(), Name: d.String(maxReply), Cookie: d.Uint64()}
		if plus {
			e.Attr, e.Handle = getPostOp(d), getPostOpHandle(d)
		}
		l.Entries = append(l.Entries, e)
	}
	l.EOF = d.Bool()
	return l, d.Err()
}

// FSStat is what FSSTAT returns.
type FSStat struct {
	Attr                      *Attr
	TotalB, FreeB, AvailB     uint64
	TotalIno, FreeIno, AvlIno uint64
	Invarsec                  uint32
}

// FSStat is FSSTAT.
func (c *Client) FSStat(h Handle) (FSStat, error) {
	d, err := c.call(ProcFSStat, func(e *xdr.Encoder) { e.Opaque(h) })
	r := FSStat{Attr: getPostOp(d)}
	if err == nil {
		r.TotalB, r.FreeB, r.AvailB = d.Uint64(), d.Uint64(), d.Uint64()
		r.TotalIno, r.FreeIno, r.AvlIno = d.Uint64(), d.Uint64(), d.Uint64()
		r.Invarsec = d.Uint32()
	}
	return r, finish(d, err)
}

// FSInfo is what FSINFO returns.
type FSInfo struct {
	Attr                  *Attr
	RTMax, RTPref, RTMult uint32
	WTMax, WTPref, WTMult uint32
	DTPref                uint32
	MaxFileSize           uint64
	TimeDelta             Time
	Properties            uint32
}

// FSInfo is FSINFO.
func (c *Client) FSInfo(h Handle) (FSInfo, error) {
	d, err := c.call(ProcFSInfo, func(e *xdr.Encoder) { e.Opaque(h) })
	r := FSInfo{Attr: getPostOp(d)}
	if err == nil {
		r.RTMax, r.RTPref, r.RTMult = d.Uint32(), d.Uint32(), d.Uint32()
		r.WTMax, r.WTPref, r.WTMult = d.Uint32(), d.Uint32(), d.Uint32()
		r.DTPref, r.MaxFileSize = d.Uint32(), d.Uint64()
		r.TimeDelta, r.Properties = getTime(d), d.Uint32()
	}
	return r, finish(d, err)
}

// PathConf is what PATHCONF returns.
type PathConf struct {
	Attr                                                      *Attr
	LinkMax, NameMax                                          uint32
	NoTrunc, ChownRestricted, CaseInsensitive, CasePreserving bool
}

// PathConf is PATHCONF.
func (c *Client) PathConf(h Handle) (PathConf, error) {
	d, err := c.call(ProcPathConf, func(e *xdr.Encoder) { e.Opaque(h) })
	r := PathConf{Attr: getPostOp(d)}
	if err == nil {
		r.LinkMax, r.NameMax = d.Uint32(), d.Uint32()
		r.NoTrunc, r.ChownRestricted, r.CaseInsensitive, r.CasePreserving = d.Bool(), d.Bool(), d.Bool(), d.Bool()
	}
	return r, finish(d, err)
}
