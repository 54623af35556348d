package vfstest

import "github.com/dittofs/dittofs/internal/vfs"

var linkTests = []behaviour{
	{"AHardLinkIsTheSameFile", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, "data", vfs.FileSync)
		before := e.attr(f)
		dir := e.attr(d)
		a, wcc, err := e.FS.Link(super, f, d, "g")
		e.ok(err, "link")
		if a.ID != f || a.Nlink != 2 || !after(a.Ctime, before.Ctime) || a.Mtime != before.Mtime ||
			a.Change <= before.Change || a != e.attr(f) {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
		if wcc.Before != dir || wcc.After != e.attr(d) || !after(wcc.After.Mtime, dir.Mtime) || wcc.After.Nlink != dir.Nlink {
			e.Fatalf("the directory went from %+v to %+v", wcc.Before, wcc.After)
		}
		if e.lookup(d, "g") != f {
			e.Fatal("the new name is another file")
		}
		e.write(e.lookup(d, "g"), 4, " more", vfs.Unstable)
		e.holds(e.lookup(e.top, "f"), "data more")
	}},
	{"TheFileLivesUntilItsLastNameIsRemoved", func(e *env) {
		f := e.create(super, e.top, "a", 0o644)
		e.write(f, 0, "data", vfs.Unstable)
		e.link(f, e.top, "b")
		e.link(f, e.top, "c")
		before := e.attr(f)
		e.remove(e.top, "a")
		a := e.attr(f)
		if a.Nlink != 2 || !after(a.Ctime, before.Ctime) || a.Mtime != before.Mtime {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
		e.remove(e.top, "c")
		e.holds(f, "data")
		e.remove(e.top, "b")
		_, err := e.FS.GetAttr(super, f)
		e.want(err, vfs.ESTALE, "getattr of a file without names")
	}},
	{"EverythingButDirectoriesCanBeLinked", func(e *env) {
		e.link(e.symlink(e.top, "s", "target"), e.top, "s2")
		e.link(e.fifo(e.top, "p"), e.top, "p2")
		if got, _, err := e.FS.Readlink(super, e.lookup(e.top, "s2")); err != nil || got != "target" {
			e.Fatalf("the linked link leads to %q (%v)", got, err)
		}
		d := e.mkdir(super, e.top, "d", 0o755)
		sub := e.mkdir(super, d, "sub", 0o755)
		for _, id := range []vfs.ID{d, sub, e.top} {
			before := e.attr(id)
			_, _, err := e.FS.Link(super, id, e.top, "x")
			if err != vfs.EISDIR && err != vfs.EPERM && err != vfs.EINVAL {
				e.Fatalf("link of a directory gives %v", err)
			}
			if e.attr(id) != before {
				e.Fatal("the refused link changed the directory")
			}
		}
		e.absent(e.top, "x")
	}},
	{"ALinkDoesNotReplaceAName", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.create(super, e.top, "g", 0o644)
		for _, name := range []string{"f", "g"} {
			before := e.attr(f)
			_, wcc, err := e.FS.Link(super, f, e.top, name)
			e.want(err, vfs.EEXIST, "link over a name")
			if e.attr(f) != before || wcc.Before != wcc.After {
				e.Fatal("the refused link changed something")
			}
		}
	}},
	{"AHardLinkOutlivesARestart", func(e *env) {
		f := e.create(super, e.top, "a", 0o644)
		e.link(f, e.top, "b")
		e.write(f, 0, "data", vfs.FileSync)
		before := e.attr(f)
		e.restart()
		if a := e.attr(f); a != before {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
		e.remove(e.top, "a")
		e.holds(e.lookup(e.top, "b"), "data")
	}},
}

var removeTests = []behaviour{
	{"ARemovedFileIsGoneFromItsDirectory", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		before := e.attr(e.top)
		wcc, err := e.FS.Remove(super, e.top, "f")
		e.ok(err, "remove")
		if wcc.Before != before || wcc.After != e.attr(e.top) || !after(wcc.After.Mtime, before.Mtime) ||
			wcc.After.Ctime != wcc.After.Mtime {
			e.Fatalf("the directory went from %+v to %+v", wcc.Before, wcc.After)
		}
		e.absent(e.top, "f")
		if entries, _ := e.list(e.top, 0, 0); len(entries) != 0 {
			e.Fatalf("the directory holds %+v", entries)
		}
		if g := e.create(super, e.top, "f", 0o644); g == f || g.Inode == f.Inode {
			e.Fatal("the new file has the removed one's number")
		}
	}},
	{"RemoveTakesNoDirectoryAndRmdirNothingElse", func(e *env) {
		e.mkdir(super, e.top, "d", 0o755)
		e.create(super, e.top, "f", 0o644)
		e.symlink(e.top, "s", "d")
		e.fifo(e.top, "p")
		_, err := e.FS.Remove(super, e.top, "d")
		if err != vfs.EISDIR && err != vfs.EPERM {
			e.Fatalf("remove of a directory gives %v", err)
		}
		for _, name := range []string{"f", "s", "p"} {
			_, err = e.FS.Rmdir(super, e.top, name)
			e.want(err, vfs.ENOTDIR, "rmdir of "+name)
			e.remove(e.top, name)
		}
		e.rmdir(e.top, "d")
	}},
	{"ADirectoryIsRemovedOnlyWhenEmpty", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		e.create(super, d, "f", 0o644)
		sub := e.mkdir(super, d, "sub", 0o755)
		before := e.attr(e.top)
		wcc, err := e.FS.Rmdir(super, e.top, "d")
		e.want(err, vfs.ENOTEMPTY, "rmdir")
		if wcc.Before != before || wcc.After != before {
			e.Fatalf("the directory went from %+v to %+v", wcc.Before, wcc.After)
		}
		e.remove(d, "f")
		_, err = e.FS.Rmdir(super, e.top, "d")
		e.want(err, vfs.ENOTEMPTY, "rmdir")
		e.rmdir(d, "sub")
		if n := e.attr(d).Nlink; n != 2 {
			e.Fatalf("the empty directory has %d links", n)
		}
		e.rmdir(e.top, "d")
		if n := e.attr(e.top).Nlink; n != before.Nlink-1 {
			e.Fatalf("the parent has %d links, had %d", n, before.Nlink)
		}
		for _, id := range []vfs.ID{d, sub} {
			_, err = e.FS.GetAttr(super, id)
			e.want(err, vfs.ESTALE, "getattr of a removed directory")
		}
	}},
	{"NothingIsRemovedFromWhatIsNoDirectory", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		_, err := e.FS.Remove(super, f, "x")
		e.want(err, vfs.ENOTDIR, "remove")
		_, err = e.FS.Rmdir(super, f, "x")
		e.want(err, vfs.ENOTDIR, "rmdir")
		_, _, err = e.FS.Rename(super, f, "x", e.top, "y")
		e.want(err, vfs.ENOTDIR, "rename from")
		_, _, err = e.FS.Rename(super, e.top, "f", f, "y")
		e.want(err, vfs.ENOTDIR, "rename to")
	}},
	{"RemovalsOutliveARestart", func(e *env) {
		e.create(super, e.top, "f", 0o644)
		d := e.mkdir(super, e.top, "d", 0o755)
		e.create(super, d, "g", 0o644)
		e.remove(e.top, "f")
		e.remove(d, "g")
		e.rmdir(e.top, "d")
		e.restart()
		e.absent(e.top, "f")
		e.absent(e.top, "d")
		_, err := e.FS.GetAttr(super, d)
		e.want(err, vfs.ESTALE, "getattr of the removed directory")
	}},
	{"TheDataOfRemovedFilesIsReclaimed", reclaimed},
}
