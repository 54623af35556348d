package vfs

import (
	"context"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// Rename moves a name, replacing what has the new one (RFC 1813 section
// 3.3.14, POSIX rename).
func (fs *FS) Rename(
	req *Request, fromDir ID, fromName string, toDir ID, toName string,
) (fromWCC, toWCC WCC, err error) {
	from, err := fs.node(req.Context, fromDir)
	if err != nil {
		return WCC{}, WCC{}, err
	}
	defer fs.nodes.put(from)
	to, err := fs.node(req.Context, toDir)
	if err != nil {
		return WCC{}, WCC{}, err
	}
	defer fs.nodes.put(to)
	if fromDir.Share != toDir.Share {
		return WCC{}, WCC{}, EXDEV
	}
	for try := 0; ; try++ {
		fromWCC, toWCC, err = fs.tryRename(req, from, fromName, to, toName)
		if err != errRaced || try == maxRaces {
			return fromWCC, toWCC, fs.errno("rename", from.ino, err)
		}
	}
}

// move is one rename on its way.
type move struct {
	req              *Request
	from, to         *node
	fromName, toName string
	source           *node
	target           *node // nil if the new name is free
	sourceEntry      layout.Dirent
	targetEntry      layout.Dirent
}

func (fs *FS) tryRename(req *Request, from *node, fromName string, to *node, toName string) (WCC, WCC, error) {
	m := &move{req: req, from: from, to: to, fromName: fromName, toName: toName}
	release, fromWCC, toWCC, err := fs.resolve(m)
	defer release()
	if err != nil {
		return fromWCC, toWCC, err
	}
	if m.source.rec.Type == TypeDirectory && from != to {
		fs.renameMu.Lock()
		defer fs.renameMu.Unlock()
		if err := fs.checkAncestry(req.Context, m); err != nil {
			return fromWCC, toWCC, err
		}
	}
	unlock := lockOrder(from, to, m.source, m.target)
	if from.removed || to.removed {
		unlock()
		return WCC{}, WCC{}, ESTALE
	}
	if err := fs.unchanged(m); err != nil {
		unlock()
		return fromWCC, toWCC, err
	}
	fromWCC = WCC{Valid: true, Before: from.attr()}
	toWCC = WCC{Valid: true, Before: to.attr()}
	err = fs.renameLocked(m)
	fromWCC.After, toWCC.After = from.attr(), to.attr()
	ticket := from.ticket
	unlock()
	if err != nil {
		return fromWCC, toWCC, err
	}
	return fromWCC, toWCC, fs.settle("rename", m.source.ino, ticket)
}

// resolve finds the inodes of both names. release gives them back.
func (fs *FS) resolve(m *move) (release func(), fromWCC, toWCC WCC, err error) {
	release = func() {
		for _, n := range [...]*node{m.source, m.target} {
			if n != nil {
				fs.nodes.put(n)
			}
		}
	}
	m.sourceEntry, fromWCC, err = fs.find(m.req, m.from, m.fromName)
	if err == ENOTEMPTY { // ".."
		err = EINVAL
	}
	var toErr error
	m.targetEntry, toWCC, toErr = fs.find(m.req, m.to, m.toName)
	switch {
	case err != nil:
		return release, fromWCC, toWCC, err
	case m.toName == "." || m.toName == "..":
		return release, fromWCC, toWCC, EEXIST
	case toErr != nil && toErr != ENOENT:
		return release, fromWCC, toWCC, toErr
	}
	if m.source, err = fs.nodes.get(m.req.Context, m.sourceEntry.Inode); err != nil {
		return release, fromWCC, toWCC, raced(err)
	}
	if toErr == nil {
		if m.target, err = fs.nodes.get(m.req.Context, m.targetEntry.Inode); err != nil {
			return release, fromWCC, toWCC, raced(err)
		}
	}
	return release, fromWCC, toWCC, nil
}

// raced turns the absence of an inode that a name was just found for into
// another try.
func raced(err error) error {
	if err == ESTALE {
		return errRaced
	}
	return err
}

// unchanged checks, with all locks held, that the names still mean what
// resolve found.
func (fs *FS) unchanged(m *move) error {
	e, err := fs.entry(m.req.Context, m.from, m.fromName)
	if err != nil && err != ENOENT {
		return err
	}
	if err == ENOENT || e != m.sourceEntry || m.source.removed {
		return errRaced
	}
	e, err = fs.entry(m.req.Context, m.to, m.toName)
	switch {
	case err == ENOENT && m.target == nil:
		return nil
	case err != nil && err != ENOENT:
		return err
	case err == ENOENT || m.target == nil || e != m.targetEntry || m.target.removed:
		return errRaced
	}
	return nil
}

// checkAncestry refuses to move a directory below itself. renameMu is held,
// so no directory changes its place meanwhile.
func (fs *FS) checkAncestry(ctx context.Context, m *move) error {
	for ino := m.to.ino; ; {
		if ino == m.source.ino {
			return EINVAL
		}
		n, err := fs.nodes.get(ctx, ino)
		if err != nil {
			return err
		}
		n.mu.RLock()
		parent := n.rec.Parent
		n.mu.RUnlock()
		fs.nodes.put(n)
		if parent == ino {
			return nil
		}
		ino = parent
	}
}

func (fs *FS) renameLocked(m *move) error {
	if m.req.ReadOnly {
		return EROFS
	}
	if m.source == m.target {
		return nil // two names of one inode: nothing happens (POSIX)
	}
	if err := m.check(); err != nil {
		return err
	}
	if m.target == nil { // one that replaces a name leaves fewer of them
		if err := fs.reserve.Changes(); err != nil {
			return err
		}
	}
	b := &meta.Batch{}
	now := fs.now()
	isDir := m.source.rec.Type == TypeDirectory
	if m.target != nil {
		if err := fs.dropLink(m.req.Context, b, m.target, now); err != nil {
			return err
		}
		if m.target.rec.Type == TypeDirectory {
			m.to.rec.Nlink--
		}
	}
	if isDir && m.from != m.to {
		m.from.rec.Nlink--
		m.to.rec.Nlink++
		m.source.rec.Parent = m.to.ino
	}
	m.source.touch(now)
	b.Put(layout.InodeKey(m.source.ino), m.source.encode())
	fs.moveEntry(b, m, now)
	m.from.ticket = fs.log.Submit(b)
	m.to.ticket, m.source.ticket = m.from.ticket, m.from.ticket
	if m.target != nil {
		m.target.ticket = m.from.ticket
		fs.afterDrop(m.target)
	}
	return nil
}

// moveEntry gives the source its new name. A listing that is under way must meet
// neither name twice, nor miss one that stands: a name that gets another inode
// stays where it is listed, and so does an entry that stays in its directory.
func (fs *FS) moveEntry(b *meta.Batch, m *move, now Time) {
	e := layout.Dirent{Inode: m.source.ino, Type: m.source.rec.Type}
	switch {
	case m.target != nil:
		fs.dropEntry(b, m.from, m.fromName, m.sourceEntry, now)
		e.Cookie = m.targetEntry.Cookie
	case m.from == m.to:
		b.Delete(layout.DirentKey(m.from.ino, m.fromName))
		fs.names.set(m.from.ino, m.fromName, layout.Dirent{})
		e.Cookie = m.sourceEntry.Cookie
	default:
		fs.dropEntry(b, m.from, m.fromName, m.sourceEntry, now)
		fs.addEntry(b, m.to, m.toName, e.Inode, e.Type, now)
		return
	}
	m.to.touchDir(now)
	fs.putEntry(b, m.to, m.toName, e)
}

// check applies the rules of rename(2) with all locks held.
func (m *move) check() error {
	cred := &m.req.Cred
	isDir := m.source.rec.Type == TypeDirectory
	if err := mayUnlink(&m.from.rec, &m.source.rec, cred); err != nil {
		return err
	}
	if !m.to.rec.allowed(cred, permWrite|permExec) {
		return EACCES
	}
	// Moving a directory rewrites its "..", which needs write permission.
	if isDir && m.from != m.to && !m.source.rec.allowed(cred, permWrite) {
		return EACCES
	}
	if m.target == nil {
		if isDir && m.from != m.to && m.to.rec.Nlink >= MaxLinks {
			return EMLINK
		}
		return nil
	}
	if err := mayUnlink(&m.to.rec, &m.target.rec, cred); err != nil {
		return err
	}
	switch targetDir := m.target.rec.Type == TypeDirectory; {
	case isDir && !targetDir:
		return ENOTDIR
	case !isDir && targetDir:
		return EISDIR
	case targetDir && m.target.rec.Entries > 0:
		return ENOTEMPTY
	}
	return nil
}
