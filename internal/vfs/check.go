package vfs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dittofs/dittofs/internal/meta"
)

// Fault is one inconsistency of the metadata.
type Fault struct {
	Inode uint64 // 0: none in particular
	What  string
}

func (f Fault) String() string {
	if f.Inode == 0 {
		return f.What
	}
	return fmt.Sprintf("inode %d: %s", f.Inode, f.What)
}

// Check reads all metadata of the filesystem and reports what does not fit
// together: names and inodes, link counts, parents, the two forms of each
// directory entry, extents and sizes, and the usage of each share against a
// recount. It changes nothing. What it reads must stand still: a stopped
// filesystem, or one without requests. The error is one of reading.
//
// Memory grows with the number of inodes (about 100 bytes each).
func Check(ctx context.Context, r meta.Reader, report func(Fault)) error {
	c := &checker{
		ctx: ctx, r: r, report: report,
		inodes: map[uint64]*checked{}, shares: map[uint32]*usage{}, roots: map[uint64]uint32{},
	}
	for _, pass := range []func() error{
		c.readShares, c.readInodes, c.readNames, c.readLists, c.readExtents, c.readOrphans, c.readUsage, c.readSettings,
	} {
		if err := pass(); err != nil {
			return err
		}
	}
	for ino, n := range c.inodes {
		c.checkInode(ino, n)
	}
	return nil
}

type checker struct {
	ctx    context.Context
	r      meta.Reader
	report func(Fault)

	inodes  map[uint64]*checked
	shares  map[uint32]*usage
	roots   map[uint64]uint32 // inode of a top directory -> share
	highest uint64            // inode number
}

// checked is what Check keeps of an inode.
type checked struct {
	typ     FileType
	share   uint32
	nlink   uint32
	size    uint64
	used    uint64
	parent  uint64
	entries uint64
	next    uint64 // cookie

	names    uint32 // directory entries that lead here
	namedIn  uint64 // the directory of the last one
	contains uint64 // entries found in this directory
	listed   uint64 // the same, in the order of cookies
	subdirs  uint32
	mapped   uint64 // end of the extents
	bytes    uint64 // in extents that are no holes
}

type usage struct{ bytes, inodes int64 }

func (c *checker) fault(ino uint64, format string, args ...any) {
	c.report(Fault{Inode: ino, What: fmt.Sprintf(format, args...)})
}

// each calls f for every pair under the prefix.
func (c *checker) each(prefix byte, f func(key, value []byte)) error {
	const page = 1024
	next := meta.PrefixRange([]byte{prefix})
	for {
		pairs, err := c.r.Scan(c.ctx, next, page)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			f(p.Key[1:], p.Value)
		}
		if len(pairs) < page {
			return nil
		}
		next.Start = append(pairs[len(pairs)-1].Key, 0)
	}
}

func (c *checker) readShares() error {
	return c.each(prefixShare, func(key, value []byte) {
		if len(value) != 12 {
			c.fault(0, "share %q has a record of %d bytes", key, len(value))
			return
		}
		id, root := binary.BigEndian.Uint32(value), binary.BigEndian.Uint64(value[4:])
		if _, twice := c.shares[id]; twice {
			c.fault(0, "share %q has number %d, which another has too", key, id)
		}
		c.shares[id] = &usage{}
		c.roots[root] = id
	})
}

func (c *checker) readInodes() error {
	return c.each(prefixInode, func(key, value []byte) {
		if len(key) != 8 {
			c.fault(0, "inode key of %d bytes", len(key))
			return
		}
		ino := binary.BigEndian.Uint64(key)
		rec, err := decodeRecord(value)
		if err != nil {
			c.fault(ino, "%v", err)
			return
		}
		c.highest = max(c.highest, ino)
		c.inodes[ino] = &checked{
			typ: rec.typ, share: rec.share, nlink: rec.nlink, size: rec.size, used: rec.used,
			parent: rec.parent, entries: rec.entries, next: rec.nextCookie,
		}
		u := c.shares[rec.share]
		if u == nil {
			c.fault(ino, "belongs to the unknown share %d", rec.share)
			return
		}
		u.inodes++
		u.bytes += int64(rec.used)
	})
}

func (c *checker) readNames() error {
	return c.each(prefixDirent, func(key, value []byte) {
		if len(key) <= 8 {
			c.fault(0, "directory entry key of %d bytes", len(key))
			return
		}
		dir, name := binary.BigEndian.Uint64(key), string(key[8:])
		if err := checkName(name); err != nil || name == "." || name == ".." {
			c.fault(dir, "holds the impossible name %q", name)
		}
		e, err := decodeDirent(value)
		if err != nil {
			c.fault(dir, "%q: %v", name, err)
			return
		}
		c.entry(dir, name, e)
	})
}

func (c *checker) entry(dir uint64, name string, e dirent) {
	d, n := c.inodes[dir], c.inodes[e.ino]
	if d == nil || d.typ != TypeDirectory {
		c.fault(dir, "is no directory, but holds the name %q", name)
		return
	}
	d.contains++
	if e.cookie < firstCookie || e.cookie >= d.next {
		c.fault(dir, "%q has cookie %d, the next to give is %d", name, e.cookie, d.next)
	}
	got, err := c.r.Get(c.ctx, listKey(dir, e.cookie))
	if err != nil {
		c.fault(dir, "%q: %v", name, err)
		return
	}
	if string(got[0]) != string(e.encodeListed(name)) {
		c.fault(dir, "%q is not what is listed with cookie %d", name, e.cookie)
	}
	if n == nil {
		c.fault(dir, "%q leads to inode %d, which is missing", name, e.ino)
		return
	}
	n.names++
	n.namedIn = dir
	if n.typ != e.typ {
		c.fault(dir, "%q has type %d, inode %d has %d", name, e.typ, e.ino, n.typ)
	}
	if n.share != d.share {
		c.fault(dir, "%q leads from share %d into share %d", name, d.share, n.share)
	}
	if n.typ == TypeDirectory {
		d.subdirs++
	}
}

func (c *checker) readLists() error {
	return c.each(prefixList, func(key, value []byte) {
		if len(key) != 16 {
			c.fault(0, "listed directory entry key of %d bytes", len(key))
			return
		}
		dir := binary.BigEndian.Uint64(key)
		if d := c.inodes[dir]; d != nil {
			d.listed++
		} else {
			c.fault(dir, "is missing, but has listed entries")
		}
	})
}

// readExtents checks that the extents of each file cover it without gaps, and
// that those of nobody are on the way out. It knows their key and length
// (package data owns the rest).
func (c *checker) readExtents() error {
	orphans := map[uint64]bool{}
	if err := c.each(prefixOrphan, func(key, _ []byte) {
		if len(key) == 8 {
			orphans[binary.BigEndian.Uint64(key)] = true
		}
	}); err != nil {
		return err
	}
	return c.each('x', func(key, value []byte) {
		if len(key) != 16 || len(value) != 21 {
			c.fault(0, "extent with %d bytes of key and %d of value", len(key), len(value))
			return
		}
		ino, off := binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
		length, segment := binary.BigEndian.Uint64(value[1:]), binary.BigEndian.Uint64(value[9:])
		n := c.inodes[ino]
		switch {
		case n == nil && orphans[ino]:
			return
		case n == nil:
			c.fault(ino, "is missing, but has an extent at %d", off)
			return
		case n.typ != TypeRegular:
			c.fault(ino, "is no regular file, but has an extent at %d", off)
		case off != n.mapped:
			c.fault(ino, "has an extent at %d, the one before ends at %d", off, n.mapped)
		}
		n.mapped = off + length
		if segment != 0 {
			n.bytes += length
		}
	})
}

func (c *checker) readOrphans() error {
	return c.each(prefixOrphan, func(key, _ []byte) {
		if len(key) != 8 {
			c.fault(0, "orphan key of %d bytes", len(key))
			return
		}
		if ino := binary.BigEndian.Uint64(key); c.inodes[ino] != nil {
			c.fault(ino, "exists, but its data is to be reclaimed")
		}
	})
}

func (c *checker) readUsage() error {
	for id, u := range c.shares {
		for _, v := range []struct {
			what byte
			want int64
		}{{'b', u.bytes}, {'i', u.inodes}} {
			got, err := c.r.Get(c.ctx, usageKey(id, v.what))
			if err != nil {
				return err
			}
			stored := int64(binary.BigEndian.Uint64(pad8(got[0])))
			if stored != v.want {
				c.fault(0, "share %d counts %d for usage '%c', a recount gives %d", id, stored, v.what, v.want)
			}
		}
	}
	return nil
}

func (c *checker) readSettings() error {
	got, err := c.r.Get(c.ctx, keyInodes)
	if err != nil {
		return err
	}
	if next := binary.BigEndian.Uint64(pad8(got[0])); len(c.inodes) > 0 && next <= c.highest {
		c.fault(0, "the next inode number is %d, %d is in use", next, c.highest)
	}
	return nil
}

func (c *checker) checkInode(ino uint64, n *checked) {
	if n.typ != TypeDirectory {
		if n.nlink != n.names || n.nlink == 0 {
			c.fault(ino, "has link count %d and %d names", n.nlink, n.names)
		}
		if n.typ == TypeRegular && (n.mapped != n.size || n.bytes != n.used) {
			c.fault(ino, "has size %d and uses %d bytes, its extents end at %d and hold %d", n.size, n.used, n.mapped, n.bytes)
		}
		return
	}
	if n.nlink != 2+n.subdirs {
		c.fault(ino, "has link count %d and %d subdirectories", n.nlink, n.subdirs)
	}
	if n.entries != n.contains || n.entries != n.listed {
		c.fault(ino, "counts %d entries, has %d names and lists %d", n.entries, n.contains, n.listed)
	}
	if share, top := c.roots[ino]; top {
		if n.names != 0 || n.parent != ino || n.share != share {
			c.fault(ino, "is the top of share %d, with %d names, parent %d and share %d", share, n.names, n.parent, n.share)
		}
		return
	}
	if n.names != 1 || n.namedIn != n.parent {
		c.fault(ino, "is a directory with %d names, one in directory %d; its parent is %d", n.names, n.namedIn, n.parent)
	}
	c.checkRooted(ino)
}

// checkRooted follows the parents up to a top directory.
func (c *checker) checkRooted(ino uint64) {
	at := ino
	for range len(c.inodes) {
		n := c.inodes[at]
		if n == nil {
			c.fault(ino, "has the missing ancestor %d", at)
			return
		}
		if _, top := c.roots[at]; top {
			return
		}
		at = n.parent
	}
	c.fault(ino, "is its own ancestor")
}
