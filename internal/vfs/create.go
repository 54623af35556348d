package vfs

import (
	"context"
	"math/rand/v2"
	"strings"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// newNode makes an inode in memory, not yet visible to anybody, and takes its
// number. The caller completes the record and stores it.
func (fs *FS) newNode(rec record) *node {
	rec.Generation = rand.Uint32()
	rec.Change = 1
	n := &node{ino: fs.alloc.take(fs.log)}
	fs.fillNode(n, rec)
	return n
}

// Create makes a regular file.
func (fs *FS) Create(req *Request, dir ID, name string, how CreateMode, set SetAttr, verf Verifier) (Attr, WCC, error) {
	rec := record{layout.Inode{Type: TypeRegular}}
	if how == CreateExclusive {
		rec.Exclusive, rec.Verifier = true, verf
	}
	for try := 0; ; try++ {
		child, wcc, existing, err := fs.make(req, dir, name, rec, &set)
		if err != EEXIST || existing == 0 {
			return child, wcc, err
		}
		child, err = fs.createOver(req, existing, how, &set, verf)
		switch {
		case err != ESTALE:
			return child, wcc, err
		case try == maxRaces:
			return Attr{}, wcc, fs.errno("create", existing, errRaced)
		}
	}
}

// createOver decides what CREATE does with an existing name.
func (fs *FS) createOver(req *Request, ino uint64, how CreateMode, set *SetAttr, verf Verifier) (Attr, error) {
	n, err := fs.nodes.get(req.Context, ino)
	if err != nil {
		return Attr{}, fs.errno("create", ino, err)
	}
	defer fs.nodes.put(n)
	n.mu.RLock()
	attr, regular, removed := n.attr(), n.rec.Type == TypeRegular, n.removed
	again := n.rec.Exclusive && n.rec.Verifier == verf
	ticket := n.ticket
	n.mu.RUnlock()
	switch {
	case removed:
		return Attr{}, ESTALE
	case how == CreateExclusive && regular && again:
		// A retry of the request that made it (RFC 1813 section 3.3.8).
		return attr, fs.settle("create", ino, ticket)
	case how != CreateUnchecked || !regular:
		return Attr{}, EEXIST
	case set.Size == nil:
		return attr, nil
	}
	wcc, err := fs.setAttr(req, n, SetAttr{Size: set.Size}, nil)
	return wcc.After, err
}

// Mkdir makes a directory.
func (fs *FS) Mkdir(req *Request, dir ID, name string, set SetAttr) (Attr, WCC, error) {
	child, wcc, _, err := fs.make(req, dir, name, record{
		layout.Inode{Type: TypeDirectory, NextCookie: layout.FirstCookie},
	}, &set)
	return child, wcc, err
}

// Symlink makes a symbolic link.
func (fs *FS) Symlink(req *Request, dir ID, name, target string, set SetAttr) (Attr, WCC, error) {
	if len(target) > MaxPath {
		return Attr{}, WCC{}, ENAMETOOLONG
	}
	if len(target) == 0 || strings.IndexByte(target, 0) >= 0 {
		return Attr{}, WCC{}, EINVAL
	}
	if set.Mode == nil {
		mode := uint32(0o777)
		set.Mode = &mode
	}
	rec := record{layout.Inode{Type: TypeSymlink, Target: target, Size: uint64(len(target))}}
	child, wcc, _, err := fs.make(req, dir, name, rec, &set)
	return child, wcc, err
}

// Mknod makes a special file. Device files need the superuser, as mknod(2).
func (fs *FS) Mknod(req *Request, dir ID, name string, typ FileType, dev Device, set SetAttr) (Attr, WCC, error) {
	rec := record{layout.Inode{Type: typ}}
	switch typ {
	case TypeBlock, TypeChar:
		if req.Cred.UID != 0 {
			return Attr{}, WCC{}, EPERM
		}
		rec.Device = dev
	case TypeFIFO, TypeSocket:
	default:
		return Attr{}, WCC{}, EBADTYPE
	}
	child, wcc, _, err := fs.make(req, dir, name, rec, &set)
	return child, wcc, err
}

// make adds an inode under a new name. If the name exists it returns its
// inode number with EEXIST.
func (fs *FS) make(
	req *Request, dir ID, name string, rec record, set *SetAttr,
) (child Attr, wcc WCC, existing uint64, err error) {
	d, err := fs.node(req.Context, dir)
	if err != nil {
		return Attr{}, WCC{}, 0, err
	}
	defer fs.nodes.put(d)
	d.mu.Lock()
	if d.removed {
		d.mu.Unlock()
		return Attr{}, WCC{}, 0, ESTALE
	}
	wcc = WCC{Valid: true, Before: d.attr()}
	n, existing, err := fs.makeLocked(req, d, name, rec, set)
	wcc.After = d.attr()
	if err != nil {
		d.mu.Unlock()
		return Attr{}, wcc, existing, fs.errno("create", d.ino, err)
	}
	child, ticket := n.attr(), d.ticket
	d.mu.Unlock()
	defer fs.nodes.put(n) // in memory until it is durable: a retry waits for its ticket
	return child, wcc, 0, fs.settle("create", n.ino, ticket)
}

func (fs *FS) makeLocked(req *Request, d *node, name string, rec record, set *SetAttr) (*node, uint64, error) {
	if d.rec.Type != TypeDirectory {
		return nil, 0, ENOTDIR
	}
	if err := checkNewName(name); err != nil {
		return nil, 0, err
	}
	if !d.rec.allowed(&req.Cred, permExec) {
		return nil, 0, EACCES
	}
	e, err := fs.entry(req.Context, d, name)
	switch {
	case err == nil:
		return nil, e.Inode, EEXIST
	case err != ENOENT:
		return nil, 0, err
	case req.ReadOnly:
		return nil, 0, EROFS
	case !d.rec.allowed(&req.Cred, permWrite):
		return nil, 0, EACCES
	case rec.Type == TypeDirectory && d.rec.Nlink >= MaxLinks:
		return nil, 0, EMLINK
	}
	if err := fs.inherit(&d.rec, &rec, req, set); err != nil {
		return nil, 0, err
	}
	if err := fs.reserve.Names(); err != nil {
		return nil, 0, err
	}
	share := fs.share(d.rec.Share)
	if err := share.reserveInode(); err != nil {
		return nil, 0, err
	}
	b := &meta.Batch{}
	n := fs.newNode(rec)
	if set.Size != nil && rec.Type == TypeRegular && *set.Size > 0 {
		if err := fs.truncateLocked(req.Context, n, *set.Size, b); err != nil {
			share.usedInodes.Add(-1)
			return nil, 0, err
		}
	}
	now := n.rec.Ctime
	if rec.Type == TypeDirectory {
		n.rec.Parent = d.ino
		d.rec.Nlink++
	}
	b.Put(layout.InodeKey(n.ino), n.encode())
	b.Add(layout.UsageKey(d.rec.Share, 'i'), 1)
	fs.addEntry(b, d, name, n.ino, rec.Type, now)
	d.ticket = fs.log.Submit(b)
	n.ticket = d.ticket
	fs.nodes.add(n)
	return n, 0, nil
}

// inherit gives a new inode its owner, group, mode and times.
func (fs *FS) inherit(d, rec *record, req *Request, set *SetAttr) error {
	now := fs.now()
	rec.Share = d.Share
	rec.UID, rec.GID = req.Cred.UID, req.Cred.GID
	rec.Atime, rec.Mtime, rec.Ctime = now, now, now
	rec.Nlink = 1
	if rec.Type == TypeDirectory {
		rec.Nlink = 2
		if set.Mode == nil {
			rec.Mode = 0o755
		}
	}
	if set.Size != nil && rec.Type == TypeRegular && *set.Size > MaxFileSize {
		return EFBIG
	}
	owner := *set
	owner.Size = nil
	if d.Mode&modeSetgid != 0 {
		rec.GID = d.GID
	}
	// The setgid bit of a new file is checked against the group it gets.
	if err := rec.checkSet(&req.Cred, &owner); err != nil {
		return err
	}
	rec.applySet(&req.Cred, &owner, now)
	if d.Mode&modeSetgid != 0 && rec.Type == TypeDirectory {
		rec.Mode |= modeSetgid
	}
	return nil
}

// addEntry puts name into the directory, whose lock is held, and into b.
func (fs *FS) addEntry(b *meta.Batch, d *node, name string, ino uint64, typ FileType, now Time) {
	e := layout.Dirent{Inode: ino, Cookie: d.rec.NextCookie, Type: typ}
	d.rec.NextCookie++
	d.rec.Entries++
	d.touchDir(now)
	fs.putEntry(b, d, name, e)
}

// putEntry puts a directory's entry and its inode, as they are in memory, into b.
func (fs *FS) putEntry(b *meta.Batch, d *node, name string, e layout.Dirent) {
	b.Put(layout.DirentKey(d.ino, name), e.Encode())
	b.Put(layout.ListKey(d.ino, e.Cookie), e.EncodeListed(name))
	b.Put(layout.InodeKey(d.ino), d.encode())
	fs.names.set(d.ino, name, e)
}

// dropEntry takes name out of the directory, whose lock is held, and puts the
// change into b.
func (fs *FS) dropEntry(b *meta.Batch, d *node, name string, e layout.Dirent, now Time) {
	d.rec.Entries--
	d.touchDir(now)
	b.Delete(layout.DirentKey(d.ino, name))
	b.Delete(layout.ListKey(d.ino, e.Cookie))
	b.Put(layout.InodeKey(d.ino), d.encode())
	fs.names.set(d.ino, name, layout.Dirent{})
}

// Link makes another name for an inode.
func (fs *FS) Link(req *Request, id ID, dir ID, name string) (Attr, WCC, error) {
	if id.Share != dir.Share {
		return Attr{}, WCC{}, EXDEV
	}
	d, err := fs.node(req.Context, dir)
	if err != nil {
		return Attr{}, WCC{}, err
	}
	defer fs.nodes.put(d)
	n, err := fs.node(req.Context, id)
	if err != nil {
		return Attr{}, WCC{}, err
	}
	defer fs.nodes.put(n)
	unlock := lockOrder(d, n)
	if d.removed || n.removed {
		unlock()
		return Attr{}, WCC{}, ESTALE
	}
	wcc := WCC{Valid: true, Before: d.attr()}
	err = fs.linkLocked(req.Context, req, d, n, name)
	wcc.After = d.attr()
	attr, ticket := n.attr(), d.ticket
	unlock()
	if err != nil {
		return attr, wcc, fs.errno("link", n.ino, err)
	}
	return attr, wcc, fs.settle("link", n.ino, ticket)
}

func (fs *FS) linkLocked(ctx context.Context, req *Request, d, n *node, name string) error {
	if d.rec.Type != TypeDirectory {
		return ENOTDIR
	}
	if err := checkNewName(name); err != nil {
		return err
	}
	if !d.rec.allowed(&req.Cred, permExec) {
		return EACCES
	}
	_, err := fs.entry(ctx, d, name)
	switch {
	case err == nil:
		return EEXIST
	case err != ENOENT:
		return err
	case n.rec.Type == TypeDirectory:
		return EISDIR
	case n.rec.Nlink == 0: // link(2): what is open and has no name gets none
		return ENOENT
	case req.ReadOnly:
		return EROFS
	case !d.rec.allowed(&req.Cred, permWrite):
		return EACCES
	case n.rec.Nlink >= MaxLinks:
		return EMLINK
	}
	if err := fs.reserve.Names(); err != nil {
		return err
	}
	now := fs.now()
	b := &meta.Batch{}
	n.rec.Nlink++
	n.touch(now)
	b.Put(layout.InodeKey(n.ino), n.encode())
	fs.addEntry(b, d, name, n.ino, n.rec.Type, now)
	d.ticket = fs.log.Submit(b)
	n.ticket = d.ticket
	return nil
}
