package vfs

import (
	"context"
	"sync"
)

// Hold keeps a regular file alive until release is called, which may be called more
// than once: while somebody holds it, the removal of its last name leaves it with a
// link count of 0, and everything but LINK goes on by its handle. Its data and its
// inode count against its share until it is gone. It is what an open file of NFSv4 is
// (RFC 8881 section 18.25.4: a server may keep what is open).
//
// Holds are in memory: a crash ends all of them, and the next start reclaims what they
// kept. Callers bound their number. Errors are ESTALE, EISDIR, and EINVAL for what is
// no regular file.
func (fs *FS) Hold(ctx context.Context, id ID) (release func(), err error) {
	n, err := fs.node(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := n.hold(); err != nil {
		fs.nodes.put(n)
		return nil, err
	}
	return sync.OnceFunc(func() {
		if n.release() {
			fs.wake()
		}
		fs.nodes.put(n)
	}), nil
}

func (n *node) hold() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.removed:
		return ESTALE
	case n.rec.Type == TypeDirectory:
		return EISDIR
	case n.rec.Type != TypeRegular:
		return EINVAL
	}
	n.holds++
	return nil
}

// release gives up a hold; orphan says that it was the last of a file without a name.
func (n *node) release() (orphan bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holds--
	return n.holds == 0 && n.rec.Nlink == 0
}
