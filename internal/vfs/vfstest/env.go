package vfstest

import (
	"bytes"
	"errors"

	"github.com/dittofs/dittofs/internal/vfs"
)

// want fails the test unless err is the Errno (0: nil).
func (e *env) want(err error, want vfs.Errno, what string) {
	e.Helper()
	var got vfs.Errno
	if err != nil && !errors.As(err, &got) {
		e.Fatalf("%s: %v is no vfs.Errno", what, err)
	}
	if got != want {
		e.Fatalf("%s: got %s, want %s", what, say(got), say(want))
	}
}

func say(n vfs.Errno) string {
	if n == 0 {
		return "success"
	}
	return n.Error()
}

func (e *env) ok(err error, what string) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

func (e *env) attr(id vfs.ID) vfs.Attr {
	e.Helper()
	a, err := e.FS.GetAttr(super, id)
	e.ok(err, "getattr")
	return a
}

func (e *env) create(req *vfs.Request, dir vfs.ID, name string, m uint32) vfs.ID {
	e.Helper()
	a, _, err := e.FS.Create(req, dir, name, vfs.CreateGuarded, mode(m), vfs.Verifier{})
	e.ok(err, "create "+name)
	return a.ID
}

func (e *env) mkdir(req *vfs.Request, dir vfs.ID, name string, m uint32) vfs.ID {
	e.Helper()
	a, _, err := e.FS.Mkdir(req, dir, name, mode(m))
	e.ok(err, "mkdir "+name)
	return a.ID
}

func (e *env) symlink(dir vfs.ID, name, target string) vfs.ID {
	e.Helper()
	a, _, err := e.FS.Symlink(super, dir, name, target, vfs.SetAttr{})
	e.ok(err, "symlink "+name)
	return a.ID
}

func (e *env) fifo(dir vfs.ID, name string) vfs.ID {
	e.Helper()
	a, _, err := e.FS.Mknod(super, dir, name, vfs.TypeFIFO, vfs.Device{}, mode(0o644))
	e.ok(err, "mknod "+name)
	return a.ID
}

func (e *env) link(id, dir vfs.ID, name string) {
	e.Helper()
	_, _, err := e.FS.Link(super, id, dir, name)
	e.ok(err, "link "+name)
}

func (e *env) remove(dir vfs.ID, name string) {
	e.Helper()
	_, err := e.FS.Remove(super, dir, name)
	e.ok(err, "remove "+name)
}

func (e *env) rmdir(dir vfs.ID, name string) {
	e.Helper()
	_, err := e.FS.Rmdir(super, dir, name)
	e.ok(err, "rmdir "+name)
}

func (e *env) rename(from vfs.ID, name string, to vfs.ID, newName string) {
	e.Helper()
	_, _, err := e.FS.Rename(super, from, name, to, newName)
	e.ok(err, "rename "+name+" to "+newName)
}

func (e *env) setattr(req *vfs.Request, id vfs.ID, set vfs.SetAttr) {
	e.Helper()
	_, err := e.FS.SetAttr(req, id, set, nil)
	e.ok(err, "setattr")
}

func (e *env) truncate(id vfs.ID, size uint64) {
	e.Helper()
	e.setattr(super, id, vfs.SetAttr{Size: &size})
}

func (e *env) write(id vfs.ID, off uint64, p string, how vfs.Stability) {
	e.Helper()
	committed, wcc, err := e.FS.Write(super, id, off, []byte(p), how)
	e.ok(err, "write")
	if committed < how {
		e.Fatalf("a write of stability %d was done with %d", how, committed)
	}
	if !wcc.Valid {
		e.Fatal("a write gave no attributes")
	}
}

func (e *env) commit(id vfs.ID) {
	e.Helper()
	_, err := e.FS.Commit(super, id, 0, 0)
	e.ok(err, "commit")
}

// read returns what one READ gives, as a copy.
func (e *env) read(id vfs.ID, off uint64, count uint32) []byte {
	e.Helper()
	p, _, err := e.tryRead(super, id, off, count)
	e.ok(err, "read")
	return p
}

func (e *env) tryRead(req *vfs.Request, id vfs.ID, off uint64, count uint32) (p []byte, eof bool, err error) {
	e.Helper()
	buf, eof, _, err := e.FS.Read(req, id, off, count, false)
	if err != nil {
		return nil, false, err
	}
	if buf != nil {
		p = bytes.Clone(buf.Bytes())
		buf.Release()
	}
	if len(p) > int(count) {
		e.Fatalf("read of %d bytes gave %d", count, len(p))
	}
	return p, eof, nil
}

// contents reads a whole file, in pieces.
func (e *env) contents(id vfs.ID) []byte {
	e.Helper()
	var all []byte
	for {
		p, eof, err := e.tryRead(super, id, uint64(len(all)), 64<<10)
		e.ok(err, "read")
		all = append(all, p...)
		if eof {
			return all
		}
		if len(p) == 0 {
			e.Fatalf("read at %d of a file of %d bytes gave nothing and no end", len(all), e.attr(id).Size)
		}
	}
}

func (e *env) holds(id vfs.ID, want string) {
	e.Helper()
	if got := string(e.contents(id)); got != want {
		e.Fatalf("the file holds %s, want %s", brief(got), brief(want))
	}
	if size := e.attr(id).Size; size != uint64(len(want)) {
		e.Fatalf("the file has size %d, want %d", size, len(want))
	}
}

// lookup returns the child's ID.
func (e *env) lookup(dir vfs.ID, name string) vfs.ID {
	e.Helper()
	a, _, err := e.FS.Lookup(super, dir, name)
	e.ok(err, "lookup "+name)
	return a.ID
}

func (e *env) absent(dir vfs.ID, name string) {
	e.Helper()
	_, _, err := e.FS.Lookup(super, dir, name)
	e.want(err, vfs.ENOENT, "lookup "+name)
}

// list returns the entries after cookie, at most max (0: all), without "."
// and "..".
func (e *env) list(dir vfs.ID, cookie uint64, max int) (entries []vfs.DirEntry, eof bool) {
	e.Helper()
	entries, listed := e.listFrom(dir, vfs.Position{Cookie: cookie}, max)
	return entries, listed.EOF
}

// listFrom is list for a listing that ends where the directory ended when it
// began.
func (e *env) listFrom(dir vfs.ID, from vfs.Position, max int) (entries []vfs.DirEntry, listed vfs.Listed) {
	e.Helper()
	listed, _, err := e.FS.ReadDir(super, dir, from, false, func(d vfs.DirEntry) bool {
		if d.Cookie <= 2 {
			return true
		}
		if max > 0 && len(entries) == max {
			return false
		}
		entries = append(entries, d)
		return true
	})
	e.ok(err, "readdir")
	return entries, listed
}

// walk calls f for every inode below dir, and for dir.
func (e *env) walk(dir vfs.ID, f func(vfs.Attr)) {
	e.Helper()
	f(e.attr(dir))
	entries, _ := e.list(dir, 0, 0)
	for _, d := range entries {
		a, _, err := e.FS.Lookup(super, dir, d.Name)
		e.ok(err, "lookup "+d.Name)
		if a.Type == vfs.TypeDirectory {
			e.walk(a.ID, f)
			continue
		}
		f(a)
	}
}

func brief(s string) string {
	const most = 64
	if len(s) <= most {
		return "\"" + s + "\""
	}
	return "\"" + s[:most] + "\"…"
}

// after says whether a is later than b.
func after(a, b vfs.Time) bool { return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec }
