package vfstest

import (
	"bytes"
	"slices"

	"github.com/dittofs/dittofs/internal/vfs"
)

// model is the simplest filesystem that behaves as FileSystem does for the
// superuser: a tree in memory. Each call returns the error to expect.
type model struct {
	top   *inode
	all   []*inode // that were ever made, in order
	bytes uint64   // in files, holes not counted
	// remote: durability "remote", where a truncation does not make unstable
	// data durable.
	remote bool
}

// inode of the model. A removed one has no links, and is gone if it is not held.
type inode struct {
	id      vfs.ID // as the filesystem gave it
	typ     vfs.FileType
	mode    uint32
	nlink   uint32
	held    bool
	target  string
	verf    *vfs.Verifier
	parent  *inode
	entries []entry // in the order of cookies
	now     contents
	// states are what a crash may leave: the contents when they were last made
	// durable, and after each unstable write since.
	states []contents
}

type entry struct {
	name string
	node *inode
}

// contents of a file; written tells the bytes that are no hole.
type contents struct {
	bytes   []byte
	written []bool
}

func (c contents) used() (n uint64) {
	for _, w := range c.written {
		if w {
			n++
		}
	}
	return n
}

func (c contents) resized(n int) contents {
	r := contents{make([]byte, n), make([]bool, n)}
	copy(r.bytes, c.bytes)
	copy(r.written, c.written)
	return r
}

func newModel(top vfs.ID, remote bool) *model {
	n := &inode{id: top, typ: vfs.TypeDirectory, mode: 0o777, nlink: 2}
	n.parent = n
	return &model{top: n, all: []*inode{n}, remote: remote}
}

func (m *model) live() (nodes []*inode) {
	for _, n := range m.all {
		if !n.gone() {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (n *inode) find(name string) (*inode, int) {
	for i, e := range n.entries {
		if e.name == name {
			return e.node, i
		}
	}
	return nil, -1
}

func (n *inode) isDir() bool { return n.typ == vfs.TypeDirectory }

func (n *inode) size() uint64 {
	switch n.typ {
	case vfs.TypeRegular:
		return uint64(len(n.now.bytes))
	case vfs.TypeSymlink:
		return uint64(len(n.target))
	}
	return 0
}

// mayAdd is what making name in d gives.
func (m *model) mayAdd(d *inode, name string) vfs.Errno {
	child, _ := d.find(name)
	switch {
	case d.nlink == 0:
		return vfs.ESTALE
	case !d.isDir():
		return vfs.ENOTDIR
	case child != nil:
		return vfs.EEXIST
	}
	return 0
}

// add puts a new inode into d.
func (m *model) add(d *inode, name string, n *inode) {
	n.nlink, n.parent = 1, d
	if n.isDir() {
		n.nlink = 2
		d.nlink++
		n.mode |= d.mode & 0o2000 // setgid is inherited
	}
	n.states = []contents{n.now}
	m.bytes += n.now.used()
	d.entries = append(d.entries, entry{name, n})
	m.all = append(m.all, n)
}

func (m *model) link(n, d *inode, name string) vfs.Errno {
	if n.gone() {
		return vfs.ESTALE
	}
	if err := m.mayAdd(d, name); err != 0 {
		return err
	}
	if n.isDir() {
		return vfs.EISDIR
	}
	if n.nlink == 0 {
		return vfs.ENOENT
	}
	n.nlink++
	d.entries = append(d.entries, entry{name, n})
	return 0
}

func (m *model) unlink(d *inode, name string, rmdir bool) vfs.Errno {
	n, i := d.find(name)
	switch {
	case d.nlink == 0:
		return vfs.ESTALE
	case !d.isDir():
		return vfs.ENOTDIR
	case n == nil:
		return vfs.ENOENT
	case rmdir && !n.isDir():
		return vfs.ENOTDIR
	case !rmdir && n.isDir():
		return vfs.EISDIR
	case len(n.entries) > 0:
		return vfs.ENOTEMPTY
	}
	m.drop(d, i)
	return 0
}

// drop takes entry i out of d, and its inode with the last name.
func (m *model) drop(d *inode, i int) {
	n := d.entries[i].node
	d.entries = slices.Delete(d.entries, i, i+1)
	m.unlinked(d, n)
}

// unlinked takes one of its names in d from n.
func (m *model) unlinked(d, n *inode) {
	if n.isDir() {
		d.nlink--
		n.nlink = 0
		return
	}
	if n.nlink--; n.gone() {
		m.bytes -= n.now.used()
	}
}

// gone says whether an inode is no more: it has no name, and nobody holds it.
func (n *inode) gone() bool { return n.nlink == 0 && !n.held }

// released ends a hold, if there is one.
func (m *model) released(n *inode) {
	wasHeld := n.held
	n.held = false
	if wasHeld && n.gone() {
		m.bytes -= n.now.used()
	}
}

func (m *model) rename(from *inode, name string, to *inode, newName string) vfs.Errno {
	if from.nlink == 0 || to.nlink == 0 {
		return vfs.ESTALE
	}
	if !from.isDir() {
		return vfs.ENOTDIR
	}
	n, i := from.find(name)
	if n == nil {
		return vfs.ENOENT
	}
	if !to.isDir() {
		return vfs.ENOTDIR
	}
	if n.isDir() && from != to {
		for d := to; ; d = d.parent {
			if d == n {
				return vfs.EINVAL
			}
			if d == m.top {
				break
			}
		}
	}
	over, j := to.find(newName)
	switch {
	case over == n:
		return 0
	case over == nil:
	case n.isDir() && !over.isDir():
		return vfs.ENOTDIR
	case !n.isDir() && over.isDir():
		return vfs.EISDIR
	case len(over.entries) > 0:
		return vfs.ENOTEMPTY
	}
	switch moved := (entry{newName, n}); {
	case over != nil: // the name stays where it is
		m.unlinked(to, over)
		to.entries[j] = moved
		from.entries = slices.Delete(from.entries, i, i+1)
	case from == to:
		to.entries[i] = moved
	default:
		from.entries = slices.Delete(from.entries, i, i+1)
		to.entries = append(to.entries, moved)
	}
	if n.isDir() {
		n.parent = to
		from.nlink--
		to.nlink++
	}
	return 0
}

func (m *model) write(n *inode, off int, p []byte, stable bool) {
	if len(p) > 0 {
		c := n.now.resized(max(len(n.now.bytes), off+len(p)))
		copy(c.bytes[off:], p)
		for i := range p {
			c.written[off+i] = true
		}
		m.set(n, c)
	}
	if stable {
		n.durable()
	}
}

func (m *model) truncate(n *inode, size int) {
	if m.remote {
		for i, c := range n.states {
			n.states[i] = c.resized(size)
		}
	}
	m.set(n, n.now.resized(size))
	if !m.remote {
		n.durable()
	}
}

func (m *model) set(n *inode, c contents) {
	m.bytes += c.used() - n.now.used()
	n.now = c
	n.states = append(n.states, c)
}

func (n *inode) durable() { n.states = []contents{n.now} }

// crashed takes what a crash left of a file for its contents, if it is one of
// the states that it may leave.
func (m *model) crashed(n *inode, got []byte, used uint64) bool {
	for _, c := range slices.Backward(n.states) {
		if bytes.Equal(c.bytes, got) && c.used() == used {
			m.set(n, c)
			n.durable()
			return true
		}
	}
	return false
}
