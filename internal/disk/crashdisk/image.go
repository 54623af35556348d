package crashdisk

import "slices"

// root is the node of the directory "/".
const root = 0

// node is an inode: a directory has entries, a file content.
type node struct {
	content *blob
	entries map[string]int
}

// image is a tree of files, by the numbers of its nodes.
type image map[int]*node

func newImage() image { return image{root: {entries: map[string]int{}}} }

func (im image) file(n int) *blob {
	if im[n] == nil {
		im[n] = &node{content: &blob{}}
	}
	return im[n].content
}

func (im image) dir(n int) map[string]int {
	if im[n] == nil {
		im[n] = &node{entries: map[string]int{}}
	}
	return im[n].entries
}

// apply does what the operation does. A node that is not known is an empty
// one: its creation was lost, or it has no name any more.
func (im image) apply(o *op) {
	switch o.Kind {
	case Write:
		im.file(o.node).write(o.data, o.Off)
	case Truncate:
		im.file(o.node).truncate(o.Off)
	case Allocate:
		im.file(o.node).allocate(o.Off, o.Len)
	case PunchHole:
		im.file(o.node).punch(o.Off, o.Len)
	case Create:
		im.file(o.node)
		im.dir(o.dir)[o.name] = o.node
	case Mkdir:
		im.dir(o.node)
		im.dir(o.dir)[o.name] = o.node
	case Link:
		im.dir(o.dir)[o.name] = o.node
	case Rename:
		im.drop(o.dir, o.name, o.node)
		im.dir(o.dir2)[o.name2] = o.node
	case Remove:
		im.drop(o.dir, o.name, o.node)
	}
}

func (im image) drop(dir int, name string, n int) {
	if at, ok := im.dir(dir)[name]; ok && at == n {
		delete(im.dir(dir), name)
	}
}

// reach calls f for every node that has a name.
func (im image) reach(f func(n int)) {
	seen := map[int]bool{}
	var walk func(n int)
	walk = func(n int) {
		if seen[n] {
			return
		}
		seen[n] = true
		f(n)
		if d := im[n]; d != nil {
			for _, child := range d.entries {
				walk(child)
			}
		}
	}
	walk(root)
}

// clone copies the nodes that keep wants.
func (im image) clone(keep func(n int) bool) image {
	c := image{}
	for i, n := range im {
		if !keep(i) {
			continue
		}
		if n.content != nil {
			c[i] = &node{content: n.content.clone()}
			continue
		}
		entries := make(map[string]int, len(n.entries))
		for name, child := range n.entries {
			entries[name] = child
		}
		c[i] = &node{entries: entries}
	}
	return c
}

// state is a disk at a point of its log: what is seen, what is durable, and
// the operations that lie between the two.
type state struct {
	now, durable image
	files        map[int][]*op // by node, in order
	names        []*op         // in order
}

func newState(im image) *state {
	return &state{now: im, durable: im.clone(func(int) bool { return true }), files: map[int][]*op{}}
}

func (s *state) apply(o *op) {
	s.now.apply(o)
	switch {
	case o.named():
		s.names = append(s.names, o)
	case o.Kind == Sync || o.Kind == SyncFailed:
		s.sync(o)
	case o.Kind == SyncDir:
		s.syncDir(o)
	default:
		s.files[o.node] = append(s.files[o.node], o)
	}
}

// sync makes the changes of a file durable that came before the sync began.
// After one that failed, half of them are.
func (s *state) sync(o *op) {
	pending := s.files[o.node]
	n := 0
	for ; n < len(pending) && pending[n].seq < o.begin; n++ {
		if o.Kind == Sync || pending[n].seq%2 == 0 {
			s.durable.apply(pending[n])
		}
	}
	if s.files[o.node] = pending[n:]; n == len(pending) {
		delete(s.files, o.node)
	}
}

// syncDir makes the names of a directory durable, and of others what these
// depend on.
func (s *state) syncDir(o *op) {
	s.names = s.settle(s.durable, func(i int) bool { return s.names[i].seq < o.begin && s.names[i].touches(o.node) })
}

// settle applies the changes of names that pick says, and those before them
// of the same names, to an image. It returns the others.
func (s *state) settle(to image, pick func(i int) bool) (left []*op) {
	chosen := make([]bool, len(s.names))
	needed := map[key]bool{}
	for i, o := range slices.Backward(s.names) {
		chosen[i] = pick(i) || slices.ContainsFunc(o.keys(), func(k key) bool { return needed[k] })
		if chosen[i] {
			for _, k := range o.keys() {
				needed[k] = true
			}
		}
	}
	for i, o := range s.names {
		if chosen[i] {
			to.apply(o)
		} else {
			left = append(left, o)
		}
	}
	return left
}

// clone copies the state, and forgets in both what no name can lead to.
func (s *state) clone() *state {
	keep := map[int]bool{}
	note := func(n int) { keep[n] = true }
	s.now.reach(note)
	s.durable.reach(note)
	for _, o := range s.names {
		keep[o.node], keep[o.dir], keep[o.dir2] = true, true, true
	}
	kept := func(n int) bool { return keep[n] }
	c := &state{now: s.now.clone(kept), durable: s.durable.clone(kept), files: map[int][]*op{}}
	for _, im := range []image{s.now, s.durable} {
		for n := range im {
			if !keep[n] {
				delete(im, n)
			}
		}
	}
	for n, pending := range s.files {
		if keep[n] {
			c.files[n] = slices.Clip(pending)
		} else {
			delete(s.files, n)
		}
	}
	s.names = slices.Clip(s.names)
	c.names = s.names
	return c
}
