package tree

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// Check reads all metadata of the filesystem and reports what does not fit
// together: names and inodes, link counts, parents, the two forms of each
// directory entry, extents and sizes, and the usage of each share against a
// recount. It changes nothing. What it reads must stand still: a stopped
// filesystem, or one without requests. The error is one of reading. It is what
// tests ask of a filesystem that they have treated badly; fsck needs the counts
// that Survey has, too.
//
// Memory grows with the number of inodes.
func Check(ctx context.Context, r meta.Reader, report func(Fault)) error {
	_, err := Survey(ctx, r, report, func(string, int64) {})
	return err
}

// Surveyed is what Survey has seen.
type Surveyed struct {
	Inodes, Names, Extents int64
	// Held are files without a name that a process held open: the next start
	// reclaims them, if it was not the one that runs.
	Held   int64
	Shares map[string]ShareUsage
}

// ShareUsage is a recount of what a share uses.
type ShareUsage struct{ Bytes, Inodes int64 }

// Survey is Check that tells what it is reading, and how many of it so far.
func Survey(
	ctx context.Context, r meta.Reader, report func(Fault), progress func(stage string, done int64),
) (Surveyed, error) {
	c := &checker{
		seen: Surveyed{Shares: map[string]ShareUsage{}}, r: r, report: report, progress: progress, seed: maphash.MakeSeed(),
		inodes: map[uint64]*checked{}, shares: map[uint32]*usage{}, roots: map[uint64]uint32{},
		damaged: map[uint64]bool{}, lost: map[uint64]*lostDirectory{},
	}
	for _, pass := range []func(context.Context) error{
		c.readShares, c.readInodes, c.readNames, c.checkLost, c.readLists, c.readExtents, c.readOrphans,
		c.readUsage, c.readSettings,
		c.checkInodes,
	} {
		if err := pass(ctx); err != nil {
			return c.seen, err
		}
	}
	return c.seen, nil
}

type checker struct {
	r        meta.Reader
	report   func(Fault)
	progress func(string, int64)
	seen     Surveyed
	seed     maphash.Seed

	inodes  map[uint64]*checked
	shares  map[uint32]*usage
	roots   map[uint64]uint32 // inode of a top directory -> share
	highest uint64            // inode number

	damaged  map[uint64]bool           // inodes whose record cannot be read
	lost     map[uint64]*lostDirectory // directories that are missing and have names
	dangling []danglingName
}

type lostDirectory struct {
	share  uint32 // of what is in it
	names  uint64
	cookie uint64 // the highest
}

type danglingName struct {
	dir  uint64
	name string
	layout.Dirent
}

// checked is what Check keeps of an inode.
type checked struct {
	typ   layout.FileType
	share uint32
	nlink uint32
	names uint32 // directory entries that lead here
	// orphan says that it is to be reclaimed when nobody holds it.
	orphan bool

	size   uint64
	used   uint64
	mapped uint64 // end of the extents
	bytes  uint64 // in extents that are no holes

	*directory // nil of what is none
}

// directory is what Check keeps of a directory beside that.
type directory struct {
	rooted   rooted
	subdirs  uint32
	parent   uint64
	entries  uint64
	next     uint64 // cookie
	namedIn  uint64 // the directory of the last name
	contains uint64 // entries found in this directory
	listed   uint64 // the same, in the order of cookies
	listing  uint64 // sum over the entries, less the same over the list
}

// named counts a name in a directory.
func (n *checked) named(dir uint64) {
	n.names++
	if n.directory != nil {
		n.namedIn = dir
	}
}

// rooted says whether the ancestors of a directory end at the top of a share.
type rooted uint8

const (
	rootedUnknown rooted = iota
	rootedYes
	rootedNo
	rootedAsking
)

type usage struct {
	name          string
	root          uint64
	bytes, inodes int64
}

func (c *checker) fault(kind string, ino uint64, fix *fix, format string, args ...any) {
	c.report(Fault{Kind: kind, Inode: ino, What: fmt.Sprintf(format, args...), fix: fix})
}

func (c *checker) nameFault(kind string, dir uint64, name string, fix *fix, format string, args ...any) {
	c.report(Fault{
		Kind: kind, Inode: dir, Name: name, What: fmt.Sprintf("%q ", name) + fmt.Sprintf(format, args...), fix: fix,
	})
}

// each calls f for every pair under the prefix.
func (c *checker) each(ctx context.Context, prefix byte, f func(key, value []byte)) error {
	return scanAll(ctx, c.r, []byte{prefix}, f)
}

// scanAll calls f for every pair under the prefix, with the key behind its
// first byte.
func scanAll(ctx context.Context, r meta.Reader, prefix []byte, f func(key, value []byte)) error {
	return meta.Each(ctx, r, meta.PrefixRange(prefix), 1024, func(p meta.Pair) error {
		f(p.Key[1:], p.Value)
		return nil
	})
}

// count counts something and tells of it now and then.
func (c *checker) count(n *int64, stage string) {
	if *n++; *n%(64<<10) == 0 {
		c.progress(stage, *n)
	}
}

func (c *checker) readShares(ctx context.Context) error {
	return c.each(ctx, keys.Share, func(key, value []byte) {
		if len(value) != 12 {
			c.fault(FaultShare, 0, nil, "share %q has a record of %d bytes", key, len(value))
			return
		}
		id, root := binary.BigEndian.Uint32(value), binary.BigEndian.Uint64(value[4:])
		if _, twice := c.shares[id]; twice {
			c.fault(FaultShare, 0, nil, "share %q has number %d, which another has too", key, id)
		}
		c.shares[id] = &usage{name: string(key), root: root}
		c.roots[root] = id
	})
}

func (c *checker) readInodes(ctx context.Context) error {
	return c.each(ctx, keys.Inode, func(key, value []byte) {
		c.count(&c.seen.Inodes, "inodes")
		if len(key) != 8 {
			c.fault(FaultInode, 0, nil, "inode key of %d bytes", len(key))
			return
		}
		ino := binary.BigEndian.Uint64(key)
		rec, err := layout.DecodeInode(value)
		if err != nil {
			c.damaged[ino] = true
			c.fault(FaultInode, ino, nil, "%v", err)
			return
		}
		c.highest = max(c.highest, ino)
		n := &checked{typ: rec.Type, share: rec.Share, nlink: rec.Nlink, size: rec.Size, used: rec.Used}
		if rec.Type == layout.TypeDirectory {
			n.directory = &directory{parent: rec.Parent, entries: rec.Entries, next: rec.NextCookie}
		}
		c.inodes[ino] = n
		u := c.shares[rec.Share]
		if u == nil {
			c.fault(FaultInodeShare, ino, nil, "belongs to the unknown share %d", rec.Share)
			return
		}
		u.inodes++
		u.bytes += int64(rec.Used)
	})
}

func (c *checker) readNames(ctx context.Context) error {
	return c.each(ctx, keys.Dirent, func(key, value []byte) {
		c.count(&c.seen.Names, "names")
		if len(key) <= 8 {
			c.fault(FaultName, 0, nil, "directory entry key of %d bytes", len(key))
			return
		}
		dir, name := binary.BigEndian.Uint64(key), string(key[8:])
		if !layout.ValidName(name) || name == "." || name == ".." {
			c.nameFault(FaultName, dir, name, nil, "is an impossible name")
		}
		e, err := layout.DecodeDirent(value)
		if err != nil {
			c.nameFault(FaultName, dir, name, nil, "has a damaged entry: %v", err)
			return
		}
		c.entry(dir, name, e)
	})
}

func (c *checker) entry(dir uint64, name string, e layout.Dirent) {
	d, n := c.inodes[dir], c.inodes[e.Inode]
	switch {
	case c.damaged[dir]:
		return
	case d == nil:
		c.entryOfLost(dir, e, n)
		if n != nil {
			n.named(dir)
		}
		return
	case d.typ != layout.TypeDirectory:
		c.nameFault(FaultName, dir, name, nil, "is a name in what is no directory")
		return
	}
	d.contains++
	d.listing += c.sum(e.Cookie, e.EncodeListed(name))
	switch {
	case e.Cookie < layout.FirstCookie:
		c.nameFault(FaultCookie, dir, name, nil, "has cookie %d, the first to give is %d", e.Cookie, layout.FirstCookie)
	case e.Cookie >= d.next:
		c.nameFault(FaultCookie, dir, name, raiseCookie(dir, e.Cookie), "has cookie %d, the next to give is %d",
			e.Cookie, d.next)
	}
	if n == nil {
		c.dangling = append(c.dangling, danglingName{dir, name, e})
		if e.Type == layout.TypeDirectory {
			d.subdirs++
		}
		return
	}
	if n.typ == layout.TypeDirectory && n.names > 0 {
		c.secondName(dir, name, e, n)
	}
	n.named(dir)
	if n.typ != e.Type {
		c.nameFault(FaultNameType, dir, name, setNameType(dir, name, e, n.typ), "has type %d, inode %d has %d",
			e.Type, e.Inode, n.typ)
	}
	if n.share != d.share {
		c.nameFault(FaultInodeShare, dir, name, nil, "leads from share %d into share %d", d.share, n.share)
	}
	if n.typ == layout.TypeDirectory {
		d.subdirs++
	}
}

// entryOfLost is a name in a directory that is missing.
func (c *checker) entryOfLost(dir uint64, e layout.Dirent, n *checked) {
	l := c.lost[dir]
	if l == nil {
		l = &lostDirectory{}
		c.lost[dir] = l
	}
	l.names++
	l.cookie = max(l.cookie, e.Cookie)
	if n != nil {
		l.share = n.share
	}
}

// checkLost judges what is missing: a directory that has names is made again,
// and then what leads to it does not lead nowhere.
func (c *checker) checkLost(_ context.Context) error {
	for dir, l := range c.lost {
		c.fault(FaultDirectory, dir, makeAgain(dir, l), "is a directory with %s, and is missing",
			printable.Count(l.names, "name"))
	}
	for _, d := range c.dangling {
		switch {
		case c.damaged[d.Inode]:
			c.nameFault(FaultDangling, d.dir, d.name, nil, "leads to inode %d, whose record is damaged", d.Inode)
		case c.lost[d.Inode] != nil:
			c.nameFault(FaultDangling, d.dir, d.name, nil, "leads to directory %d, which is missing", d.Inode)
		default:
			c.nameFault(FaultDangling, d.dir, d.name, dropName(d.dir, d.name, d.Dirent),
				"leads to inode %d, which is missing", d.Inode)
		}
	}
	return nil
}

// secondName is a further name of a directory, which has only one.
func (c *checker) secondName(dir uint64, name string, e layout.Dirent, n *checked) {
	what, from := dropName(dir, name, e), n.namedIn
	if n.parent == dir && from != dir {
		what = dropNameOf(from, e.Inode) // of the two, the one in the parent stays
	}
	c.nameFault(FaultNames, dir, name, what,
		"is another name of directory %d, which has one in directory %d; its parent is %d", e.Inode, from, n.parent)
}

// sum stands for an entry of a list.
func (c *checker) sum(cookie uint64, listed []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_ = binary.Write(&h, binary.BigEndian, cookie)
	_, _ = h.Write(listed)
	return h.Sum64()
}

func (c *checker) readLists(ctx context.Context) error {
	lists := int64(0)
	return c.each(ctx, keys.List, func(key, value []byte) {
		c.count(&lists, "lists")
		if len(key) != 16 {
			c.fault(FaultListing, 0, nil, "listed directory entry key of %d bytes", len(key))
			return
		}
		dir, cookie := binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
		if d := c.inodes[dir]; d != nil && d.directory != nil {
			d.listed++
			d.listing -= c.sum(cookie, value)
		} else if c.lost[dir] == nil && !c.damaged[dir] {
			fix := dropListed(dir, cookie)
			if d != nil {
				fix = nil // its type may be what is damaged
			}
			c.fault(FaultListing, dir, fix, "is no directory, but has listed entries")
		}
	})
}

// readExtents checks that the extents of each file cover it without gaps, and
// that those of nobody are on the way out. It knows their key and length
// (package data owns the rest).
func (c *checker) readExtents(ctx context.Context) error {
	orphans := map[uint64]bool{}
	if err := c.each(ctx, keys.Orphan, func(key, _ []byte) {
		if len(key) == 8 {
			orphans[binary.BigEndian.Uint64(key)] = true
		}
	}); err != nil {
		return err
	}
	return c.each(ctx, 'x', func(key, value []byte) {
		c.count(&c.seen.Extents, "extents")
		if len(key) != 16 || len(value) != 21 {
			return // package data reports it
		}
		ino, off := binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
		length, segment := binary.BigEndian.Uint64(value[1:]), binary.BigEndian.Uint64(value[9:])
		n := c.inodes[ino]
		switch {
		case n == nil && (orphans[ino] || c.damaged[ino]):
			return
		case n == nil:
			c.fault(FaultExtentOwner, ino, nil, "is missing, but has an extent at %d", off)
			return
		case n.typ != layout.TypeRegular:
			c.fault(FaultExtentOwner, ino, nil, "is no regular file, but has an extent at %d", off)
		case off > n.mapped:
			c.fault(FaultGap, ino, nil, "has an extent at %d, the one before ends at %d", off, n.mapped)
		case off < n.mapped:
			c.fault(FaultOverlap, ino, nil, "has an extent at %d, the one before ends at %d", off, n.mapped)
		}
		n.mapped = max(n.mapped, off+length)
		if segment != 0 {
			n.bytes += length
		}
	})
}

func (c *checker) readOrphans(ctx context.Context) error {
	return c.each(ctx, keys.Orphan, func(key, _ []byte) {
		if len(key) != 8 {
			c.fault(FaultOrphan, 0, nil, "orphan key of %d bytes", len(key))
			return
		}
		ino := binary.BigEndian.Uint64(key)
		n := c.inodes[ino]
		switch {
		case n == nil:
		case n.typ == layout.TypeRegular && n.nlink == 0 && n.names == 0:
			n.orphan = true
			c.seen.Held++
		default:
			c.fault(FaultOrphan, ino, keepData(ino), "exists, but its data is to be reclaimed")
		}
	})
}

func (c *checker) readUsage(ctx context.Context) error {
	for id, u := range c.shares {
		c.seen.Shares[u.name] = ShareUsage{u.bytes, u.inodes}
		for _, v := range []struct {
			what byte
			want int64
		}{{'b', u.bytes}, {'i', u.inodes}} {
			got, err := c.r.Get(ctx, layout.UsageKey(id, v.what))
			if err != nil {
				return err
			}
			stored := int64(layout.DecodeNumber(got[0]))
			if stored != v.want {
				fix := setUsage(id, v.what, v.want)
				if len(c.damaged) > 0 {
					fix = nil // nobody knows what they use
				}
				c.fault(FaultUsage, 0, fix, "share %q (%d) counts %d for usage '%c', a recount gives %d",
					u.name, id, stored, v.what, v.want)
			}
		}
	}
	return nil
}

func (c *checker) readSettings(ctx context.Context) error {
	got, err := c.r.Get(ctx, []byte(keys.NextInode))
	if err != nil {
		return err
	}
	if next := layout.DecodeNumber(got[0]); len(c.inodes) > 0 && next <= c.highest {
		c.fault(FaultNumber, 0, setNextInode(c.highest+1), "the next inode number is %d, %d is in use", next, c.highest)
	}
	return nil
}
