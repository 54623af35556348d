package vfs

import (
	"context"
	"errors"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// Remove takes away a name that is not a directory's.
func (fs *FS) Remove(req *Request, dir ID, name string) (WCC, error) {
	return fs.unlink(req, dir, name, false)
}

// Rmdir takes away an empty directory.
func (fs *FS) Rmdir(req *Request, dir ID, name string) (WCC, error) {
	return fs.unlink(req, dir, name, true)
}

func (fs *FS) unlink(req *Request, dir ID, name string, rmdir bool) (WCC, error) {
	d, err := fs.node(req.Context, dir)
	if err != nil {
		return WCC{}, err
	}
	defer fs.nodes.put(d)
	for try := 0; ; try++ {
		wcc, err := fs.tryUnlink(req, d, name, rmdir)
		if err != errRaced || try == maxRaces {
			return wcc, fs.errno("remove", d.ino, err)
		}
	}
}

// errRaced asks for another try: a name came to mean another inode between
// finding it and locking it.
var errRaced = errors.New("name changed while it was resolved")

// maxRaces bounds the tries: a name whose inode is missing from the store for
// good is damage, an EIO.
const maxRaces = 1000

func (fs *FS) tryUnlink(req *Request, d *node, name string, rmdir bool) (WCC, error) {
	e, wcc, err := fs.find(req, d, name)
	if err != nil {
		return wcc, err
	}
	n, err := fs.nodes.get(req.Context, e.Inode)
	if err == ESTALE {
		return wcc, errRaced
	}
	if err != nil {
		return wcc, err
	}
	defer fs.nodes.put(n)

	unlock := lockOrder(d, n)
	if d.removed {
		unlock()
		return WCC{}, ESTALE
	}
	current, err := fs.entry(req.Context, d, name)
	if err == ENOENT || err == nil && current != e || n.removed {
		unlock()
		return wcc, errRaced
	}
	wcc = WCC{Valid: true, Before: d.attr()}
	if err == nil {
		err = fs.unlinkLocked(req, d, n, name, e, rmdir)
	}
	wcc.After = d.attr()
	ticket := d.ticket
	unlock()
	if err != nil {
		return wcc, err
	}
	return wcc, fs.settle("remove", n.ino, ticket)
}

// find looks a name up that is to be removed or renamed.
func (fs *FS) find(req *Request, d *node, name string) (layout.Dirent, WCC, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.removed {
		return layout.Dirent{}, WCC{}, ESTALE
	}
	wcc := WCC{Valid: true, Before: d.attr(), After: d.attr()}
	switch {
	case d.rec.Type != TypeDirectory:
		return layout.Dirent{}, wcc, ENOTDIR
	case name == ".":
		return layout.Dirent{}, wcc, EINVAL
	case name == "..":
		return layout.Dirent{}, wcc, ENOTEMPTY
	case !d.rec.allowed(&req.Cred, permExec):
		return layout.Dirent{}, wcc, EACCES
	}
	if err := checkName(name); err != nil {
		return layout.Dirent{}, wcc, err
	}
	e, err := fs.entry(req.Context, d, name)
	return e, wcc, err
}

func (fs *FS) unlinkLocked(req *Request, d, n *node, name string, e layout.Dirent, rmdir bool) error {
	if req.ReadOnly {
		return EROFS
	}
	if err := mayUnlink(&d.rec, &n.rec, &req.Cred); err != nil {
		return err
	}
	isDir := n.rec.Type == TypeDirectory
	switch {
	case rmdir && !isDir:
		return ENOTDIR
	case !rmdir && isDir:
		return EISDIR
	case isDir && n.rec.Entries > 0:
		return ENOTEMPTY
	}
	b := &meta.Batch{}
	now := fs.now()
	if err := fs.dropLink(req.Context, b, n, now); err != nil {
		return err
	}
	if isDir {
		d.rec.Nlink--
	}
	fs.dropEntry(b, d, name, e, now)
	d.ticket = fs.log.Submit(b)
	n.ticket = d.ticket
	fs.afterDrop(n)
	return nil
}

// dropLink takes one name from an inode, whose lock is held. With the last
// one the inode goes, unless it is held.
func (fs *FS) dropLink(ctx context.Context, b *meta.Batch, n *node, now Time) error {
	switch {
	case n.rec.Type == TypeDirectory || n.rec.Nlink <= 1 && n.holds == 0:
		return fs.dropInode(ctx, b, n, fs.share(n.rec.Share))
	case n.rec.Nlink <= 1: // a crash ends all holds: then the orphan is reclaimed
		b.Put(layout.OrphanKey(n.ino), []byte{1})
	}
	n.rec.Nlink--
	n.touch(now)
	b.Put(layout.InodeKey(n.ino), n.encode())
	return nil
}

// dropInode takes an inode away, whose lock is held: its record in this batch, its
// extents too if they are few, else as an orphan of which the reaper takes the rest
// later. share is nil if its usage is not in memory.
func (fs *FS) dropInode(ctx context.Context, b *meta.Batch, n *node, share *shareState) error {
	if n.file != nil && n.storedSize > 0 {
		reaped, done, err := fs.data.Reap(ctx, n.ino, reapInline)
		if err != nil {
			return err
		}
		b.Append(reaped)
		if !done {
			b.Put(layout.OrphanKey(n.ino), []byte{1})
			n.orphaned = true
		}
	}
	if share != nil {
		share.usedInodes.Add(-1)
		share.usedBytes.Add(-int64(n.rec.Used))
	}
	b.Add(layout.UsageKey(n.rec.Share, 'i'), -1)
	if n.storedUsed > 0 {
		b.Add(layout.UsageKey(n.rec.Share, 'b'), -int64(n.storedUsed))
	}
	b.Delete(layout.InodeKey(n.ino))
	n.rec.Nlink = 0
	n.removed = true
	return nil
}

// afterDrop finishes dropLink once its batch is submitted; the lock is held.
func (fs *FS) afterDrop(n *node) {
	if !n.removed {
		return
	}
	if n.file != nil {
		n.file.Drop()
	}
	if n.orphaned {
		fs.wake()
	}
	fs.nodes.forget(n)
}
