package vfs

import (
	"sync"

	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// MaxComing is how many calls FileSystem.Ahead takes.
const MaxComing = 32

// Coming is a call that follows: for an inode or, with a name, for that in it.
type Coming struct {
	Inode uint64
	Name  []byte
}

// aheadKeys are keys that calls will ask for.
type aheadKeys struct {
	keys [MaxComing][]byte
	n    int
}

var aheads = sync.Pool{New: func() any { return new(aheadKeys) }}

func newAheadKeys() *aheadKeys {
	a := aheads.Get().(*aheadKeys)
	a.n = 0
	return a
}

func (a *aheadKeys) add(prefix byte, ino uint64, name []byte) {
	k := &a.keys[a.n]
	*k = append(layout.AppendKey((*k)[:0], prefix, ino), name...)
	a.n++
}

func (a *aheadKeys) all() [][]byte { return a.keys[:a.n] }

// Ahead implements FileSystem.
func (fs *FS) Ahead(coming []Coming) (useful bool) {
	first, inodes := newAheadKeys(), newAheadKeys()
	defer aheads.Put(first)
	defer aheads.Put(inodes)
	for _, c := range coming[:min(len(coming), MaxComing)] {
		switch {
		case len(c.Name) > MaxName:
		case c.Name != nil:
			first.add(keys.Dirent, c.Inode, c.Name)
		case !fs.nodes.has(c.Inode):
			first.add(keys.Inode, c.Inode, nil)
			useful = true
		}
	}
	fs.log.Ahead(first.all())
	// The names are at hand now, and say which inodes are next.
	var value [layout.DirentLen]byte
	for _, key := range first.all() {
		if key[0] != keys.Dirent {
			continue
		}
		got, ok := fs.log.Hint(value[:0], key)
		if !ok {
			continue
		}
		if d, err := layout.DecodeDirent(got); err == nil && !fs.nodes.has(d.Inode) {
			inodes.add(keys.Inode, d.Inode, nil)
			useful = true
		}
	}
	fs.log.Ahead(inodes.all())
	return useful
}
