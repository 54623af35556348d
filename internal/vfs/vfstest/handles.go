package vfstest

import (
	"fmt"
	"slices"

	"github.com/dittofs/dittofs/internal/vfs"
)

var handleTests = []behaviour{
	{"NothingIsDoneByTheHandleOfARemovedFile", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, "data", vfs.Unstable)
		e.remove(e.top, "f")
		stale(e, f, "a removed file")
	}},
	{"NothingIsDoneByTheHandleOfARemovedDirectory", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		e.rmdir(e.top, "d")
		stale(e, d, "a removed directory")
	}},
	{"NothingIsDoneByAHandleThatDoesNotFit", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		for what, id := range map[string]vfs.ID{
			"another generation": {Share: f.Share, Inode: f.Inode, Generation: f.Generation + 1},
			"another share":      {Share: f.Share + 1, Inode: f.Inode, Generation: f.Generation},
			"no inode":           {Share: f.Share, Inode: f.Inode + 1000, Generation: f.Generation},
			"nothing":            {},
		} {
			stale(e, id, what)
		}
		e.attr(f)
	}},
	{"HandlesOutliveARestart", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		f := e.create(super, d, "f", 0o644)
		e.write(f, 0, "data", vfs.FileSync)
		gone := e.create(super, d, "gone", 0o644)
		e.remove(d, "gone")
		handles := map[string][]byte{}
		ids := map[string]vfs.ID{"top": e.top, "d": d, "f": f}
		for name, id := range ids {
			handles[name] = e.Handles.Append(nil, id)
		}
		staleHandle := e.Handles.Append(nil, gone)
		for range 2 {
			attrs := map[string]vfs.Attr{}
			for name, id := range ids {
				attrs[name] = e.attr(id)
			}
			e.restart()
			for name, h := range handles {
				id, err := e.Handles.Parse(h)
				e.ok(err, "parse")
				if a := e.attr(id); a != attrs[name] {
					e.Fatalf("%s is %+v, was %+v", name, a, attrs[name])
				}
			}
			e.holds(f, "data")
			id, err := e.Handles.Parse(staleHandle)
			e.ok(err, "parse")
			stale(e, id, "a file removed before the restart")
			if n := e.create(super, d, fmt.Sprint("new", e.attr(d).Change), 0o644); n.Inode == gone.Inode || n.Inode == f.Inode {
				e.Fatal("an inode number was given again")
			}
		}
	}},
}

// stale checks that every operation on id is ESTALE.
func stale(e *env, id vfs.ID, what string) {
	e.Helper()
	file, _, err := e.FS.Create(super, e.top, "live", vfs.CreateUnchecked, mode(0o644), vfs.Verifier{})
	e.ok(err, "create")
	top := e.attr(e.top)
	calls := map[string]func() error{
		"getattr":  func() error { return second(e.FS.GetAttr(super, id)) },
		"setattr":  func() error { return second(e.FS.SetAttr(super, id, mode(0o600), nil)) },
		"lookup":   func() error { return third(e.FS.Lookup(super, id, "x")) },
		"access":   func() error { return third(e.FS.Access(super, id, 0x3f)) },
		"readlink": func() error { return third(e.FS.Readlink(super, id)) },
		"read":     func() error { return third(e.tryRead(super, id, 0, 1)) },
		"write":    func() error { return third(e.FS.Write(super, id, 0, []byte("x"), vfs.FileSync)) },
		"commit":   func() error { return second(e.FS.Commit(super, id, 0, 0)) },
		"create": func() error {
			return third(e.FS.Create(super, id, "x", vfs.CreateUnchecked, mode(0o600), vfs.Verifier{}))
		},
		"mkdir":       func() error { return third(e.FS.Mkdir(super, id, "x", mode(0o700))) },
		"symlink":     func() error { return third(e.FS.Symlink(super, id, "x", "t", vfs.SetAttr{})) },
		"mknod":       func() error { return third(e.FS.Mknod(super, id, "x", vfs.TypeFIFO, vfs.Device{}, mode(0o600))) },
		"remove":      func() error { return second(e.FS.Remove(super, id, "x")) },
		"rmdir":       func() error { return second(e.FS.Rmdir(super, id, "x")) },
		"rename from": func() error { return third(e.FS.Rename(super, id, "x", e.top, "y")) },
		"rename to":   func() error { return third(e.FS.Rename(super, e.top, "live", id, "y")) },
		"link":        func() error { return third(e.FS.Link(super, id, e.top, "x")) },
		"link into":   func() error { return third(e.FS.Link(super, file.ID, id, "x")) },
		"readdir": func() error {
			return third(e.FS.ReadDir(super, id, vfs.Position{}, true, func(vfs.DirEntry) bool { return true }))
		},
		"statfs": func() error { return third(e.FS.StatFS(super, id)) },
	}
	for op, call := range calls {
		err := call()
		// Two handles can also be refused for what they are to each other.
		if err == vfs.EXDEV && id.Share != e.share &&
			slices.Contains([]string{"rename from", "rename to", "link", "link into"}, op) {
			continue
		}
		e.want(err, vfs.ESTALE, op+" by the handle of "+what)
	}
	if e.attr(e.top) != top {
		e.Fatal("a stale handle changed the top directory")
	}
	e.remove(e.top, "live")
}
