package vfstest

import (
	"context"

	"github.com/dittofs/dittofs/internal/vfs"
)

var shareTests = []behaviour{
	{"AReadOnlyRequestChangesNothing", readOnly},
	{"NothingMovesBetweenShares", func(e *env) {
		other := e.rootOf(e.addShare(vfs.ShareSpec{Name: "other", Mode: 0o777}))
		f := e.create(super, e.top, "f", 0o644)
		d := e.mkdir(super, e.top, "d", 0o755)
		before := e.attr(other)
		_, _, err := e.FS.Rename(super, e.top, "f", other, "f")
		e.want(err, vfs.EXDEV, "rename of a file")
		_, _, err = e.FS.Rename(super, e.top, "d", other, "d")
		e.want(err, vfs.EXDEV, "rename of a directory")
		_, _, err = e.FS.Link(super, f, other, "f")
		e.want(err, vfs.EXDEV, "link")
		if e.attr(other) != before || e.lookup(e.top, "f") != f || e.lookup(e.top, "d") != d {
			e.Fatal("a refused move changed something")
		}
	}},
	{"AShareBeginsWithTheTopThatIsConfigured", func(e *env) {
		s := vfs.ShareSpec{Name: "own", UID: 7, GID: 8, Mode: 0o2750}
		top := e.rootOf(e.addShare(s))
		a := e.attr(top)
		if a.Type != vfs.TypeDirectory || a.UID != 7 || a.GID != 8 || a.Mode != 0o2750 || a.Nlink != 2 ||
			a.Parent != top.Inode {
			e.Fatalf("the top directory is %+v", a)
		}
		// It is made once; later it belongs to its users.
		s.UID, s.GID, s.Mode = 1, 0, 0o700
		if e.rootOf(e.addShare(s)) != top || e.attr(top) != a {
			e.Fatal("another configuration changed the top directory")
		}
		e.setattr(super, top, mode(0o711))
		if e.restart(); e.rootOf(e.addShare(s)) != top || e.attr(top).Mode != 0o711 {
			e.Fatal("the restart changed the top directory")
		}
	}},
	{"SharesKeepTheirNumbers", func(e *env) {
		mk := func(name string) uint32 {
			return e.addShare(vfs.ShareSpec{Name: name, Mode: 0o755})
		}
		b, a := mk("b"), mk("a")
		if a == b || a == e.share || b == e.share || a == 0 || b == 0 {
			e.Fatalf("the shares have the numbers %d, %d, %d", e.share, b, a)
		}
		f := e.create(super, e.rootOf(a), "f", 0o644)
		e.restart()
		if c := mk("c"); c == a || c == b || c == e.share {
			e.Fatalf("a new share has the number %d again", c)
		}
		if mk("a") != a || mk("b") != b || e.lookup(e.rootOf(a), "f") != f {
			e.Fatal("a share has another number after the restart")
		}
	}},
	{"AnUnknownShareHasNoTop", func(e *env) {
		for _, share := range []uint32{0, e.share + 1, 1<<32 - 1} {
			_, err := e.FS.Root(share)
			e.want(err, vfs.ESTALE, "root of an unknown share")
		}
	}},
	{"AnEndedRequestIsNotTakenForDamage", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		req := &vfs.Request{Context: ctx}
		if e.Restart != nil {
			// What is not in memory has to be asked for, and the answer is not
			// waited for.
			e.restart()
			_, err := e.FS.GetAttr(req, f)
			e.want(err, vfs.EJUKEBOX, "getattr of what is not in memory")
			e.attr(f)
		}
		// What is in memory may be answered.
		if _, err := e.FS.GetAttr(req, f); err != nil {
			e.want(err, vfs.EJUKEBOX, "getattr")
		}
		if _, _, err := e.FS.Write(req, f, 0, []byte("data"), vfs.FileSync); err != nil {
			e.want(err, vfs.EJUKEBOX, "write")
		}
		e.write(f, 0, "data", vfs.FileSync)
		e.holds(f, "data")
	}},
}

func readOnly(e *env) {
	f := e.create(super, e.top, "f", 0o644)
	e.write(f, 0, "data", vfs.FileSync)
	e.mkdir(super, e.top, "d", 0o755)
	e.symlink(e.top, "s", "f")
	ro := &vfs.Request{Context: super.Context, ReadOnly: true}
	file, dir := e.attr(f), e.attr(e.top)
	calls := map[string]func() error{
		"setattr":  func() error { return second(e.FS.SetAttr(ro, f, mode(0o600), nil)) },
		"truncate": func() error { return second(e.FS.SetAttr(ro, f, vfs.SetAttr{Size: ptr(uint64(0))}, nil)) },
		"write":    func() error { return third(e.FS.Write(ro, f, 0, []byte("x"), vfs.FileSync)) },
		"create": func() error {
			return third(e.FS.Create(ro, e.top, "n", vfs.CreateUnchecked, mode(0o600), vfs.Verifier{}))
		},
		"create over": func() error {
			return third(e.FS.Create(ro, e.top, "f", vfs.CreateUnchecked, vfs.SetAttr{Size: ptr(uint64(0))}, vfs.Verifier{}))
		},
		"mkdir":       func() error { return third(e.FS.Mkdir(ro, e.top, "n", mode(0o700))) },
		"symlink":     func() error { return third(e.FS.Symlink(ro, e.top, "n", "t", vfs.SetAttr{})) },
		"mknod":       func() error { return third(e.FS.Mknod(ro, e.top, "n", vfs.TypeFIFO, vfs.Device{}, mode(0o600))) },
		"link":        func() error { return third(e.FS.Link(ro, f, e.top, "n")) },
		"remove":      func() error { return second(e.FS.Remove(ro, e.top, "f")) },
		"rmdir":       func() error { return second(e.FS.Rmdir(ro, e.top, "d")) },
		"rename":      func() error { return third(e.FS.Rename(ro, e.top, "f", e.top, "n")) },
		"rename over": func() error { return third(e.FS.Rename(ro, e.top, "f", e.top, "s")) },
	}
	for what, call := range calls {
		e.want(call(), vfs.EROFS, what)
	}
	if e.attr(f) != file || e.attr(e.top) != dir {
		e.Fatal("a refused change changed something")
	}
	got, _, err := e.FS.Access(ro, f, 0x3f)
	e.ok(err, "access")
	if got != vfs.AccessRead {
		e.Fatalf("access is %#x, want read alone", got)
	}
	p, _, err := e.tryRead(ro, f, 0, 10)
	e.ok(err, "read")
	if string(p) != "data" {
		e.Fatalf("read gives %q", p)
	}
	_, _, err = e.FS.Lookup(ro, e.top, "f")
	e.ok(err, "lookup")
	_, _, err = e.FS.ReadDir(ro, e.top, vfs.Position{}, true, func(vfs.DirEntry) bool { return true })
	e.ok(err, "readdir")
}
