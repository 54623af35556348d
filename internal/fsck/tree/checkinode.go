package tree

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// checkInodes judges each inode by what the passes over names and extents have
// found of it.
func (c *checker) checkInodes(ctx context.Context) error {
	for _, ino := range slices.Sorted(maps.Keys(c.inodes)) {
		n := c.inodes[ino]
		if n.typ != layout.TypeDirectory {
			c.checkLeaf(ino, n)
			continue
		}
		c.checkDirectory(ino, n)
		if n.listing != 0 {
			if err := c.checkListing(ctx, ino); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) checkLeaf(ino uint64, n *checked) {
	switch {
	case n.orphan:
	case n.names == 0:
		c.fault(FaultUnnamed, ino, reattach(ino, n.share), "has link count %d and no name", n.nlink)
	case n.nlink != n.names:
		c.fault(FaultLinks, ino, setLinks(ino, n.names), "has link count %d and %s", n.nlink,
			printable.Count(n.names, "name"))
	}
	if n.typ != layout.TypeRegular {
		return
	}
	if n.mapped != n.size {
		c.fault(FaultSize, ino, nil, "has size %d, its extents end at %d", n.size, n.mapped)
	}
	if n.bytes != n.used {
		c.fault(FaultUsed, ino, setUsed(ino, n.bytes), "uses %s, its extents hold %d",
			printable.Count(n.used, "byte"), n.bytes)
	}
}

func (c *checker) checkDirectory(ino uint64, n *checked) {
	if n.nlink != 2+n.subdirs {
		c.fault(FaultLinks, ino, setLinks(ino, 2+n.subdirs), "has link count %d and %d %s", n.nlink, n.subdirs,
			printable.Number(n.subdirs, "subdirectory", "subdirectories"))
	}
	if n.entries != n.contains || n.entries != n.listed {
		var fix *fix // if it is the list that is wrong, that is reported and mended for itself
		if n.entries != n.contains {
			fix = setEntries(ino, n.contains)
		}
		c.fault(FaultEntries, ino, fix, "counts %d %s, has %s and lists %d", n.entries,
			printable.Number(n.entries, "entry", "entries"), printable.Count(n.contains, "name"), n.listed)
	}
	if share, top := c.roots[ino]; top {
		if n.names != 0 || n.parent != ino || n.share != share {
			c.fault(FaultShare, ino, nil, "is the top of share %d, with %d names, parent %d and share %d",
				share, n.names, n.parent, n.share)
		}
		return
	}
	switch {
	case n.names == 0:
		c.fault(FaultUnnamed, ino, reattach(ino, n.share), "is a directory without a name; its parent was %d", n.parent)
	case n.names == 1 && n.namedIn != n.parent:
		c.fault(FaultParent, ino, setParent(ino, n.namedIn), "is a directory with its name in directory %d; its parent is %d",
			n.namedIn, n.parent)
	default:
		c.checkRooted(ino)
	}
}

// checkRooted follows the parents up to a top directory. The first directory
// of a cycle that is met is the one that is reported.
func (c *checker) checkRooted(ino uint64) {
	var path []*checked
	verdict := rootedNo
	for at := ino; ; {
		n := c.inodes[at]
		if n == nil || n.directory == nil {
			break // a name in what is no directory was reported
		}
		if _, top := c.roots[at]; top {
			verdict = rootedYes
			break
		}
		if n.rooted == rootedAsking {
			c.fault(FaultCycle, at, reattach(at, n.share), "is its own ancestor")
			break
		}
		if n.rooted != rootedUnknown {
			verdict = n.rooted
			break
		}
		n.rooted = rootedAsking
		path = append(path, n)
		at = n.parent
	}
	for _, n := range path {
		n.rooted = verdict
	}
}

// checkListing compares the two forms of each entry of a directory in which
// they differ.
func (c *checker) checkListing(ctx context.Context, dir uint64) error {
	type place struct {
		name   string
		listed string
	}
	byCookie := map[uint64]place{}
	err := scanAll(ctx, c.r, layout.Key(keys.Dirent, dir), func(key, value []byte) {
		name := string(key[8:])
		e, err := layout.DecodeDirent(value)
		if err != nil || name == "" {
			return // reported before
		}
		if other, twice := byCookie[e.Cookie]; twice {
			c.nameFault(FaultListing, dir, name, newCookie(dir, name, e), "has cookie %d, as %q has", e.Cookie, other.name)
			return
		}
		byCookie[e.Cookie] = place{name, string(e.EncodeListed(name))}
	})
	if err != nil {
		return err
	}
	if err := scanAll(ctx, c.r, layout.Key(keys.List, dir), func(key, value []byte) {
		if len(key) != 16 {
			return // reported before
		}
		cookie := binary.BigEndian.Uint64(key[8:])
		p, ok := byCookie[cookie]
		switch {
		case !ok:
			c.fault(FaultListing, dir, dropListed(dir, cookie), "lists an entry with cookie %d that no name has", cookie)
		case p.listed != string(value):
			c.nameFault(FaultListing, dir, p.name, list(dir, cookie, p.listed), "is not what is listed with cookie %d", cookie)
		}
		delete(byCookie, cookie)
	}); err != nil {
		return err
	}
	for _, cookie := range slices.Sorted(maps.Keys(byCookie)) {
		p := byCookie[cookie]
		c.nameFault(FaultListing, dir, p.name, list(dir, cookie, p.listed), "is not what is listed with cookie %d", cookie)
	}
	return nil
}
