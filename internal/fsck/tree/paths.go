package tree

import (
	"context"
	"encoding/binary"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// Path is where an inode is found: the name of its share and a path in it
// that begins with "/".
type Path struct{ Share, Path string }

// Paths finds names of inodes; of several that one has, the first. An inode to
// which no path leads is left out. With one that is no directory it reads all
// names of the filesystem once, since only directories know where they are.
func Paths(ctx context.Context, r meta.Reader, inodes []uint64) (map[uint64]Path, error) {
	p := &pathFinder{r: r, tops: map[uint64]string{}, nodes: map[uint64]*pathNode{}}
	for _, step := range []func(context.Context, []uint64) error{
		p.readTops, p.readNodes, p.nameLeaves, p.nameDirectories,
	} {
		if err := step(ctx, inodes); err != nil {
			return nil, err
		}
	}
	paths := make(map[uint64]Path, len(inodes))
	for _, ino := range inodes {
		if path, ok := p.path(ino); ok {
			paths[ino] = path
		}
	}
	return paths, nil
}

type pathFinder struct {
	r     meta.Reader
	tops  map[uint64]string // the name of the share
	nodes map[uint64]*pathNode
}

type pathNode struct {
	dir    bool
	parent uint64
	name   string // "" while it is not known
}

func (p *pathFinder) readTops(ctx context.Context, _ []uint64) error {
	return scanAll(ctx, p.r, []byte{keys.Share}, func(key, value []byte) {
		if len(value) == 12 {
			p.tops[binary.BigEndian.Uint64(value[4:])] = string(key)
		}
	})
}

// readNodes reads the inodes, and of directories their ancestors too.
func (p *pathFinder) readNodes(ctx context.Context, inodes []uint64) error {
	for _, ino := range inodes {
		for p.nodes[ino] == nil {
			n, err := p.readNode(ctx, ino)
			if err != nil {
				return err
			}
			p.nodes[ino] = n
			if _, top := p.tops[ino]; top || !n.dir {
				break
			}
			ino = n.parent
		}
	}
	return nil
}

// readNode takes an inode that cannot be read for a leaf, which may have a
// name all the same.
func (p *pathFinder) readNode(ctx context.Context, ino uint64) (*pathNode, error) {
	got, err := p.r.Get(ctx, layout.InodeKey(ino))
	if err != nil {
		return nil, err
	}
	rec, err := layout.DecodeInode(got[0])
	if err != nil || rec.Type != layout.TypeDirectory {
		return &pathNode{}, nil
	}
	return &pathNode{dir: true, parent: rec.Parent}, nil
}

// nameLeaves finds a name for each inode that is no directory, and reads the
// directories in which they are.
func (p *pathFinder) nameLeaves(ctx context.Context, _ []uint64) error {
	var parents []uint64
	left := 0
	for _, n := range p.nodes {
		if !n.dir {
			left++
		}
	}
	if left == 0 {
		return nil
	}
	err := scanAll(ctx, p.r, []byte{keys.Dirent}, func(key, value []byte) {
		e, err := layout.DecodeDirent(value)
		if err != nil || len(key) <= 8 {
			return
		}
		if n := p.nodes[e.Inode]; n != nil && !n.dir && n.name == "" {
			n.name, n.parent = string(key[8:]), binary.BigEndian.Uint64(key)
			parents = append(parents, n.parent)
		}
	})
	if err != nil {
		return err
	}
	return p.readNodes(ctx, parents)
}

// nameDirectories finds the name of each directory in its parent.
func (p *pathFinder) nameDirectories(ctx context.Context, _ []uint64) error {
	parents := map[uint64]bool{}
	for ino, n := range p.nodes {
		if _, top := p.tops[ino]; n.dir && !top {
			parents[n.parent] = true
		}
	}
	for dir := range parents {
		if err := scanAll(ctx, p.r, layout.Key(keys.Dirent, dir), func(key, value []byte) {
			e, err := layout.DecodeDirent(value)
			if err != nil {
				return
			}
			if n := p.nodes[e.Inode]; n != nil && n.dir && n.parent == dir && n.name == "" {
				n.name = string(key[8:])
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

func (p *pathFinder) path(ino uint64) (Path, bool) {
	path := ""
	for range layout.MaxPath {
		if share, top := p.tops[ino]; top {
			if path == "" {
				path = "/"
			}
			return Path{share, path}, true
		}
		n := p.nodes[ino]
		if n == nil || n.name == "" {
			return Path{}, false
		}
		path = "/" + n.name + path
		ino = n.parent
	}
	return Path{}, false
}
