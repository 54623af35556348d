package vfs

import (
	"context"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// GetAttr returns the attributes of an inode.
func (fs *FS) GetAttr(req *Request, id ID) (Attr, error) {
	a, err := fs.attr(req.Context, id.Inode)
	if err == nil && a.ID != id {
		return Attr{}, ESTALE
	}
	return a, err
}

// attr returns the attributes of an inode, which need not come to memory for it:
// a walk over more files than fit would do nothing else.
func (fs *FS) attr(ctx context.Context, ino uint64) (Attr, error) {
	n, born := fs.nodes.look(ino)
	if n == nil {
		if rec, ok := fs.peekRecord(ctx, ino, born); ok {
			return rec.attr(ino), nil
		}
		var err error
		if n, err = fs.nodes.get(ctx, ino); err != nil {
			return Attr{}, fs.errno("load inode", ino, err)
		}
	}
	defer fs.nodes.put(n)
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.removed {
		return Attr{}, ESTALE
	}
	return n.attr(), nil
}

// Access returns the subset of mask that the credential is allowed.
func (fs *FS) Access(req *Request, id ID, mask AccessMask) (AccessMask, Attr, error) {
	n, err := fs.node(req.Context, id)
	if err != nil {
		return 0, Attr{}, err
	}
	defer fs.nodes.put(n)
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.removed {
		return 0, Attr{}, ESTALE
	}
	return n.rec.accessMask(&req.Cred, mask, req.ReadOnly), n.attr(), nil
}

// Readlink returns the target of a symbolic link; INVAL for other types.
func (fs *FS) Readlink(req *Request, id ID) (string, Attr, error) {
	n, err := fs.node(req.Context, id)
	if err != nil {
		return "", Attr{}, err
	}
	defer fs.nodes.put(n)
	n.mu.RLock()
	defer n.mu.RUnlock()
	switch {
	case n.removed:
		return "", Attr{}, ESTALE
	case n.rec.Type != TypeSymlink:
		return "", n.attr(), EINVAL
	}
	return n.rec.Readlink(), n.attr(), nil
}

// Lookup finds name in dir.
func (fs *FS) Lookup(req *Request, dir ID, name string) (child, dirAttr Attr, err error) {
	d, err := fs.node(req.Context, dir)
	if err != nil {
		return Attr{}, Attr{}, err
	}
	defer fs.nodes.put(d)
	// The child's lock cannot be taken under the directory's (the order is by
	// inode number), so a child removed in between is looked up again.
	for try := 0; ; try++ {
		ino, dirAttr, err := fs.lookupIn(req, d, name)
		if err != nil {
			return Attr{}, dirAttr, err
		}
		child, err := fs.attr(req.Context, ino)
		switch {
		case err != ESTALE:
			return child, dirAttr, err
		case try == maxRaces:
			return Attr{}, dirAttr, fs.errno("lookup", ino, errRaced)
		}
	}
}

func (fs *FS) lookupIn(req *Request, d *node, name string) (uint64, Attr, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch {
	case d.removed:
		return 0, Attr{}, ESTALE
	case d.rec.Type != TypeDirectory:
		return 0, d.attr(), ENOTDIR
	case !d.rec.allowed(&req.Cred, permExec):
		return 0, d.attr(), EACCES
	case name == ".":
		return d.ino, d.attr(), nil
	case name == "..":
		return d.rec.Parent, d.attr(), nil
	}
	if err := checkName(name); err != nil {
		return 0, d.attr(), err
	}
	e, err := fs.entry(req.Context, d, name)
	if err != nil {
		return 0, d.attr(), fs.errno("lookup", d.ino, err)
	}
	return e.Inode, d.attr(), nil
}

// SetAttr changes attributes.
func (fs *FS) SetAttr(req *Request, id ID, set SetAttr, guard *Time) (WCC, error) {
	n, err := fs.node(req.Context, id)
	if err != nil {
		return WCC{}, err
	}
	defer fs.nodes.put(n)
	return fs.setAttr(req, n, set, guard)
}

func (fs *FS) setAttr(req *Request, n *node, set SetAttr, guard *Time) (wcc WCC, err error) {
	n.mu.Lock()
	if n.removed {
		n.mu.Unlock()
		return WCC{}, ESTALE
	}
	wcc = WCC{Valid: true, Before: n.attr()}
	b := &meta.Batch{}
	if err = fs.setLocked(req, n, &set, guard, b); err == nil && b.Len() > 0 {
		n.ticket = fs.log.Submit(b)
	}
	wcc.After = n.attr()
	ticket := n.ticket
	n.mu.Unlock()
	if err != nil {
		return wcc, fs.errno("setattr", n.ino, err)
	}
	return wcc, fs.settle("setattr", n.ino, ticket)
}

// setLocked checks and makes the changes in memory and adds them to b; the
// lock is held exclusively.
func (fs *FS) setLocked(req *Request, n *node, set *SetAttr, guard *Time, b *meta.Batch) error {
	if req.ReadOnly {
		return EROFS
	}
	if guard != nil && *guard != n.rec.Ctime {
		return ENOTSYNC
	}
	if *set == (SetAttr{}) {
		return nil
	}
	if err := n.rec.checkSet(&req.Cred, set); err != nil {
		return err
	}
	if set.Size == nil || *set.Size >= n.rec.Size { // one that cuts a file gives space back
		if err := fs.reserve.Changes(); err != nil {
			return err
		}
	}
	now := fs.now()
	if set.Size != nil {
		if err := fs.truncateLocked(req.Context, n, *set.Size, b); err != nil {
			return err
		}
		n.rec.Mtime = now
		if req.Cred.UID != 0 {
			n.rec.clearPrivilege()
		}
	}
	n.rec.applySet(&req.Cred, set, now)
	n.touch(now)
	b.Put(layout.InodeKey(n.ino), n.encode())
	return nil
}
