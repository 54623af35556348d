package vfstest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/vfs"
)

var renameTests = []behaviour{
	{"AFileKeepsItsHandleWhenRenamed", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, "data", vfs.Unstable)
		from, to, file := e.attr(e.top), e.attr(d), e.attr(f)
		fromWCC, toWCC, err := e.FS.Rename(super, e.top, "f", d, "g")
		e.ok(err, "rename")
		if fromWCC.Before != from || fromWCC.After != e.attr(e.top) || toWCC.Before != to || toWCC.After != e.attr(d) {
			e.Fatalf("wrong attributes: %+v %+v", fromWCC, toWCC)
		}
		for _, w := range []vfs.WCC{fromWCC, toWCC} {
			if !after(w.After.Mtime, w.Before.Mtime) || w.After.Ctime != w.After.Mtime || w.After.Nlink != w.Before.Nlink ||
				w.After.Change <= w.Before.Change {
				e.Fatalf("a directory went from %+v to %+v", w.Before, w.After)
			}
		}
		e.absent(e.top, "f")
		if e.lookup(d, "g") != f {
			e.Fatal("the renamed file is another")
		}
		a := e.attr(f)
		if a.Mtime != file.Mtime || a.Nlink != 1 {
			e.Fatalf("the file went from %+v to %+v", file, a)
		}
		e.holds(f, "data")
	}},
	{"WhatReplacesWhat", whatReplacesWhat},
	{"ARenameOntoItselfDoesNothing", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		d := e.mkdir(super, e.top, "d", 0o755)
		e.create(super, d, "inside", 0o644)
		for name, id := range map[string]vfs.ID{"f": f, "d": d} {
			before, dir := e.attr(id), e.attr(e.top)
			e.rename(e.top, name, e.top, name)
			if e.attr(id) != before || e.attr(e.top) != dir || e.lookup(e.top, name) != id {
				e.Fatalf("%q went from %+v to %+v", name, before, e.attr(id))
			}
		}
	}},
	{"ARenameBetweenTwoNamesOfAFileDoesNothing", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		f := e.create(super, e.top, "f", 0o644)
		e.link(f, e.top, "g")
		e.link(f, d, "h")
		before := e.attr(f)
		e.rename(e.top, "f", e.top, "g")
		e.rename(e.top, "g", d, "h")
		if e.attr(f) != before || e.lookup(e.top, "f") != f || e.lookup(e.top, "g") != f || e.lookup(d, "h") != f {
			e.Fatalf("the file went from %+v to %+v", before, e.attr(f))
		}
	}},
	{"ADirectoryIsNotMovedBelowItself", func(e *env) {
		a := e.mkdir(super, e.top, "a", 0o755)
		b := e.mkdir(super, a, "b", 0o755)
		c := e.mkdir(super, b, "c", 0o755)
		for _, to := range []vfs.ID{a, b, c} {
			before := e.attr(to)
			_, _, err := e.FS.Rename(super, e.top, "a", to, "x")
			e.want(err, vfs.EINVAL, "rename below itself")
			if e.attr(to) != before || e.lookup(a, "..") != e.top {
				e.Fatal("the refused rename changed something")
			}
		}
		_, _, err := e.FS.Rename(super, a, "b", c, "x")
		e.want(err, vfs.EINVAL, "rename below itself")
		// Onto a name that exists there, too.
		_, _, err = e.FS.Rename(super, e.top, "a", a, "b")
		e.want(err, vfs.EINVAL, "rename over an own child")
		// The other way round it is a matter of what is replaced.
		_, _, err = e.FS.Rename(super, b, "c", e.top, "a")
		e.want(err, vfs.ENOTEMPTY, "rename of a directory over its ancestor")
		e.create(super, b, "f", 0o644)
		_, _, err = e.FS.Rename(super, b, "f", e.top, "a")
		e.want(err, vfs.EISDIR, "rename of a file over its ancestor")
		_, _, err = e.FS.Rename(super, a, "b", e.top, "a")
		e.want(err, vfs.ENOTEMPTY, "rename of a directory over its parent")
	}},
	{"AMovedDirectoryFollowsItsNewParent", func(e *env) {
		from := e.mkdir(super, e.top, "from", 0o755)
		to := e.mkdir(super, e.top, "to", 0o755)
		d := e.mkdir(super, from, "d", 0o755)
		e.create(super, d, "inside", 0o644)
		fromWCC, toWCC, err := e.FS.Rename(super, from, "d", to, "d2")
		e.ok(err, "rename")
		if fromWCC.After.Nlink != 2 || toWCC.After.Nlink != 3 || e.attr(e.top).Nlink != 4 {
			e.Fatalf("links: %d, %d, %d", fromWCC.After.Nlink, toWCC.After.Nlink, e.attr(e.top).Nlink)
		}
		if e.lookup(d, "..") != to || e.attr(d).Parent != to.Inode || e.attr(d).Nlink != 2 {
			e.Fatalf("the directory is %+v", e.attr(d))
		}
		e.lookup(d, "inside")
		// Over an empty directory elsewhere.
		over := e.mkdir(super, from, "over", 0o755)
		e.rename(to, "d2", from, "over")
		if n, m := e.attr(from).Nlink, e.attr(to).Nlink; n != 3 || m != 2 {
			e.Fatalf("links: %d, %d", n, m)
		}
		_, err = e.FS.GetAttr(super, over)
		e.want(err, vfs.ESTALE, "getattr of the replaced directory")
		if e.lookup(d, "..") != from {
			e.Fatal("\"..\" stayed behind")
		}
		e.rmdir(e.top, "to")
	}},
	{"AReplacedFileLosesOneName", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		g := e.create(super, e.top, "g", 0o644)
		e.write(g, 0, "data", vfs.Unstable)
		e.link(g, e.top, "other")
		before := e.attr(g)
		e.rename(e.top, "f", e.top, "g")
		a := e.attr(g)
		if a.Nlink != 1 || !after(a.Ctime, before.Ctime) || e.lookup(e.top, "g") != f || e.lookup(e.top, "other") != g {
			e.Fatalf("the replaced file is %+v", a)
		}
		e.holds(g, "data")
		e.rename(e.top, "g", e.top, "other")
		_, err := e.FS.GetAttr(super, g)
		e.want(err, vfs.ESTALE, "getattr of the replaced file")
		if entries, _ := e.list(e.top, 0, 0); len(entries) != 1 {
			e.Fatalf("the directory holds %+v", entries)
		}
	}},
	{"RenamesOutliveARestart", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		f := e.create(super, e.top, "f", 0o644)
		e.create(super, d, "g", 0o644)
		e.write(f, 0, "data", vfs.FileSync)
		e.rename(e.top, "f", d, "g")
		sub := e.mkdir(super, e.top, "sub", 0o755)
		e.rename(e.top, "sub", d, "sub2")
		before := e.attr(f)
		e.restart()
		if e.lookup(d, "g") != f || e.lookup(sub, "..") != d || e.attr(f) != before {
			e.Fatal("the tree is another after the restart")
		}
		e.holds(f, "data")
		e.absent(e.top, "f")
	}},
	{"CrossingRenamesEndInATree", crossingRenames},
	{"OfTwoDirectoriesMovedIntoEachOtherOneStays", intoEachOther},
}

// whatReplacesWhat tries every type over every other.
func whatReplacesWhat(e *env) {
	mk := map[string]func(dir vfs.ID, name string) vfs.ID{
		"file":    func(d vfs.ID, n string) vfs.ID { return e.create(super, d, n, 0o644) },
		"symlink": func(d vfs.ID, n string) vfs.ID { return e.symlink(d, n, "target") },
		"fifo":    func(d vfs.ID, n string) vfs.ID { return e.fifo(d, n) },
		"empty":   func(d vfs.ID, n string) vfs.ID { return e.mkdir(super, d, n, 0o755) },
		"full": func(d vfs.ID, n string) vfs.ID {
			id := e.mkdir(super, d, n, 0o755)
			e.create(super, id, "inside", 0o644)
			return id
		},
	}
	isDir := map[string]bool{"empty": true, "full": true}
	for source, makeSource := range mk {
		for target, makeTarget := range mk {
			for _, across := range []bool{false, true} {
				what := fmt.Sprintf("%s over %s, across directories: %v", source, target, across)
				from := e.mkdir(super, e.top, "from "+what, 0o755)
				to := from
				if across {
					to = e.mkdir(super, e.top, "to "+what, 0o755)
				}
				src, dst := makeSource(from, "s"), makeTarget(to, "t")
				var want vfs.Errno
				switch {
				case isDir[source] && !isDir[target]:
					want = vfs.ENOTDIR
				case !isDir[source] && isDir[target]:
					want = vfs.EISDIR
				case target == "full":
					want = vfs.ENOTEMPTY
				}
				before := e.attr(to)
				_, toWCC, err := e.FS.Rename(super, from, "s", to, "t")
				e.want(err, want, what)
				if want != 0 {
					if e.lookup(from, "s") != src || e.lookup(to, "t") != dst || toWCC.After != before || e.attr(to) != before {
						e.Fatal(what + ": the refused rename changed something")
					}
					continue
				}
				e.absent(from, "s")
				if e.lookup(to, "t") != src {
					e.Fatal(what + ": the new name is another file")
				}
				_, err = e.FS.GetAttr(super, dst)
				e.want(err, vfs.ESTALE, what+": the replaced one")
				subdirs := uint32(0)
				if isDir[source] {
					subdirs = 1
				}
				if n := e.attr(to).Nlink; n != 2+subdirs {
					e.Fatalf("%s: the directory has %d links", what, n)
				}
				if n := e.attr(from).Nlink; across && n != 2 {
					e.Fatalf("%s: the old directory has %d links", what, n)
				}
			}
		}
	}
}

// crossingRenames moves directories into each other from many sides at once.
func crossingRenames(e *env) {
	const n = 4
	dirs := make([]vfs.ID, n)
	for i := range dirs {
		dirs[i] = e.mkdir(super, e.top, fmt.Sprint("d", i), 0o755)
	}
	// They go on until each has been moved: one after the other, none crosses.
	var moved [n]atomic.Int64
	crossed := func() bool {
		for i := range moved {
			if moved[i].Load() < 20 {
				return false
			}
		}
		return true
	}
	deadline := time.Now().Add(20 * time.Second)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for round := 0; (round < 100 || !crossed()) && time.Now().Before(deadline); round++ {
				// From wherever d<i> is to below another one.
				parents := append([]vfs.ID{e.top}, dirs...)
				to := parents[(i+round)%len(parents)]
				for _, from := range parents {
					_, _, err := e.FS.Rename(super, from, fmt.Sprint("d", i), to, fmt.Sprint("d", i))
					switch err {
					case nil:
						if from != to {
							moved[i].Add(1)
						}
					case vfs.ENOENT, vfs.EINVAL, vfs.ENOTEMPTY:
					default:
						e.Errorf("rename: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range moved {
		if times := moved[i].Load(); times == 0 {
			e.Errorf("directory %d was never moved", i)
		}
	}
	found := 0
	e.walk(e.top, func(vfs.Attr) { found++ })
	if found != n+1 {
		e.Fatalf("%d directories are in the tree, want %d", found, n+1)
	}
}

// intoEachOther moves two directories below each other at the same time. They
// are deep, so that the way up from the bottom takes its time.
func intoEachOther(e *env) {
	bottom := map[string]vfs.ID{}
	for _, name := range []string{"a", "b"} {
		at := e.mkdir(super, e.top, name, 0o755)
		for range 100 {
			at = e.mkdir(super, at, "down", 0o755)
		}
		bottom[name] = at
	}
	for range 100 {
		start := make(chan struct{})
		errs := map[string]chan error{"a": make(chan error, 1), "b": make(chan error, 1)}
		for name, below := range map[string]string{"a": "b", "b": "a"} {
			go func() {
				<-start
				_, _, err := e.FS.Rename(super, e.top, name, bottom[below], "moved")
				errs[name] <- err
			}()
		}
		close(start)
		a, b := <-errs["a"], <-errs["b"]
		if (a == nil) == (b == nil) {
			e.Fatalf("two directories moved into each other: %v and %v", a, b)
		}
		if a == nil {
			e.rename(bottom["b"], "moved", e.top, "a")
		} else {
			e.rename(bottom["a"], "moved", e.top, "b")
		}
	}
}
