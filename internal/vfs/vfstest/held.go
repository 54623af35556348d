package vfstest

import (
	"strings"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/vfs"
)

// hold holds a file until what it returns is called.
func (e *env) hold(id vfs.ID) (release func()) {
	e.Helper()
	release, err := e.FS.Hold(super.Context, id)
	e.ok(err, "hold")
	return release
}

// reclaimed waits until no more files without a name are left than are held.
func (e *env) reclaimed(held int) {
	e.Helper()
	var orphans []meta.Pair
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var err error
		orphans, err = e.Meta.Scan(super.Context, meta.PrefixRange([]byte{keys.Orphan}), 1000)
		e.ok(err, "scan of orphans")
		if len(orphans) == held {
			return
		}
	}
	e.Fatalf("%d orphans are left, %d files without a name are held", len(orphans), held)
}

// uses checks what a limited share counts.
func (e *env) uses(top vfs.ID, bytes, inodes uint64, when string) {
	e.Helper()
	st := e.statfs(top)
	if b, i := st.TotalBytes-st.FreeBytes, st.TotalInodes-st.FreeInodes; b != bytes || i != inodes {
		e.Fatalf("%s the share counts %d bytes and %d inodes, want %d and %d", when, b, i, bytes, inodes)
	}
}

// many extents, so that their data is not reclaimed in one batch.
func (e *env) writeScattered(id vfs.ID) (bytes uint64) {
	e.Helper()
	for i := range uint64(40) {
		e.write(id, i*8192, "scattered", vfs.FileSync)
	}
	return 40 * uint64(len("scattered"))
}

var heldTests = []behaviour{
	{"AHeldFileLivesWithoutAName", func(e *env) {
		top := e.limited(1<<30, 100)
		f := e.create(super, top, "f", 0o644)
		e.write(f, 0, "before", vfs.FileSync)
		release := e.hold(f)
		before := e.attr(f)
		e.remove(top, "f")
		e.absent(top, "f")
		if a := e.attr(f); a.Nlink != 0 || a.ID != f || !after(a.Ctime, before.Ctime) || a.Change <= before.Change {
			e.Fatalf("without a name it is %+v", a)
		}
		e.holds(f, "before")
		e.write(f, 6, " and after", vfs.Unstable)
		e.commit(f)
		e.holds(f, "before and after")
		e.truncate(f, 6)
		e.setattr(super, f, mode(0o600))
		e.holds(f, "before")
		e.uses(top, 6, 2, "while it is held")
		release()
		e.reclaimed(0)
		_, err := e.FS.GetAttr(super, f)
		e.want(err, vfs.ESTALE, "getattr of a file that was released")
		e.uses(top, 0, 1, "when it is gone")
		release() // again is nothing
	}},
	{"DataOfAHeldFileIsReclaimedAsAWhole", func(e *env) {
		top := e.limited(1<<30, 100)
		f := e.create(super, top, "f", 0o644)
		bytes := e.writeScattered(f)
		release := e.hold(f)
		e.remove(top, "f")
		e.uses(top, bytes, 2, "while it is held")
		e.write(f, 1<<20, "dirty", vfs.Unstable)
		release()
		e.reclaimed(0)
		e.uses(top, 0, 1, "when it is gone")
		extents, err := e.Meta.Scan(super.Context, meta.PrefixRange([]byte{keys.Extent}), 10)
		e.ok(err, "scan of extents")
		if len(extents) != 0 {
			e.Fatalf("%d extents are left", len(extents))
		}
	}},
	{"AHeldFileCountsAgainstTheQuota", func(e *env) {
		top := e.limited(1000, 3)
		f := e.create(super, top, "f", 0o644)
		e.write(f, 0, strings.Repeat("x", 600), vfs.FileSync)
		release := e.hold(f)
		e.remove(top, "f")
		g := e.create(super, top, "g", 0o644)
		_, _, err := e.FS.Create(super, top, "h", vfs.CreateGuarded, mode(0o644), vfs.Verifier{})
		e.want(err, vfs.EDQUOT, "an inode in the place of one that is held")
		e.want(e.grow(g, 0, 500), vfs.EDQUOT, "bytes in the place of those that are held")
		e.want(e.grow(f, 600, 500), vfs.EDQUOT, "bytes of a file that is held")
		e.ok(e.grow(f, 600, 400), "bytes of a file that is held, under the quota")
		release()
		e.reclaimed(0)
		e.create(super, top, "h", 0o644)
		e.ok(e.grow(g, 0, 1000), "bytes in the place of those that were released")
	}},
	{"EachHolderKeepsIt", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		first, second := e.hold(f), e.hold(f)
		e.remove(e.top, "f")
		third := e.hold(f) // by its handle
		first()
		first() // counts once
		second()
		e.write(f, 0, "held", vfs.FileSync)
		e.holds(f, "held")
		third()
		e.reclaimed(0)
		_, err := e.FS.GetAttr(super, f)
		e.want(err, vfs.ESTALE, "getattr")
		_, err = e.FS.Hold(super.Context, f)
		e.want(err, vfs.ESTALE, "hold of a file that is gone")
	}},
	{"AReplacedFileLivesWhileItIsHeld", func(e *env) {
		f, g := e.create(super, e.top, "f", 0o644), e.create(super, e.top, "g", 0o644)
		e.write(f, 0, "old", vfs.FileSync)
		release := e.hold(f)
		e.rename(e.top, "g", e.top, "f")
		if e.lookup(e.top, "f") != g {
			e.Fatal("the name leads to the old file")
		}
		e.holds(f, "old")
		release()
		e.reclaimed(0)
		_, err := e.FS.GetAttr(super, f)
		e.want(err, vfs.ESTALE, "getattr")
	}},
	{"AReplacedFileKeepsItsOtherName", func(e *env) {
		f, g := e.create(super, e.top, "f", 0o644), e.create(super, e.top, "g", 0o644)
		e.write(f, 0, "old", vfs.FileSync)
		e.link(f, e.top, "other")
		release := e.hold(f)
		e.rename(e.top, "g", e.top, "f")
		if a := e.attr(f); a.Nlink != 1 || e.lookup(e.top, "f") != g {
			e.Fatalf("with one name left it is %+v", a)
		}
		e.reclaimed(0) // nothing is an orphan that has a name
		e.remove(e.top, "other")
		e.holds(f, "old")
		release()
		e.reclaimed(0)
		_, err := e.FS.GetAttr(super, f)
		e.want(err, vfs.ESTALE, "getattr")
	}},
	{"AFileWithAnotherNameStaysWhenItIsReleased", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.link(f, e.top, "g")
		release := e.hold(f)
		e.remove(e.top, "f")
		release()
		e.reclaimed(0)
		if a := e.attr(f); a.Nlink != 1 {
			e.Fatalf("%+v", a)
		}
		release = e.hold(f)
		release()
		if e.lookup(e.top, "g") != f {
			e.Fatal("the file is another")
		}
	}},
	{"AFileWithoutANameGetsNoneAgain", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		release := e.hold(f)
		e.remove(e.top, "f")
		_, _, err := e.FS.Link(super, f, e.top, "g")
		e.want(err, vfs.ENOENT, "link")
		e.absent(e.top, "g")
		release()
		e.reclaimed(0)
	}},
	{"OnlyRegularFilesAreHeld", func(e *env) {
		_, err := e.FS.Hold(super.Context, e.mkdir(super, e.top, "d", 0o755))
		e.want(err, vfs.EISDIR, "hold of a directory")
		_, err = e.FS.Hold(super.Context, e.symlink(e.top, "s", "d"))
		e.want(err, vfs.EINVAL, "hold of a symbolic link")
		_, err = e.FS.Hold(super.Context, e.fifo(e.top, "p"))
		e.want(err, vfs.EINVAL, "hold of a FIFO")
	}},
	{"AStopEndsAllHolds", func(e *env) { heldUntil(e, (*env).restart) }},
	{"AReleaseAfterAStopIsNothing", func(e *env) {
		top := e.limited(1<<30, 100)
		named, unnamed := e.create(super, top, "named", 0o644), e.create(super, top, "unnamed", 0o644)
		e.write(named, 0, "named", vfs.FileSync)
		releases := []func(){e.hold(named), e.hold(unnamed)}
		e.remove(top, "unnamed")
		e.restart()
		e.limited(1<<30, 100)
		e.reclaimed(0)
		release := e.hold(named)
		e.remove(top, "named")
		for _, r := range releases {
			r()
		}
		e.holds(named, "named")
		e.uses(top, 5, 2, "while one is held")
		release()
		e.reclaimed(0)
		e.uses(top, 0, 1, "when all are gone")
	}},
	{"ACrashEndsAllHolds", func(e *env) { heldUntil(e, (*env).crash) }},
	{"FilesAreHeldAndRemovedByManyAtOnce", func(e *env) {
		top := e.limited(1<<30, 1<<20)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 30 {
					heldOnce(e, top)
				}
			})
		}
		wg.Wait()
		if _, _, err := e.FS.Lookup(super, top, "f"); err == nil {
			e.remove(top, "f")
		}
		e.reclaimed(0)
		e.uses(top, 0, 1, "when all are gone")
	}},
}

// heldOnce makes a file of a name that others make and remove as well.
func heldOnce(e *env, top vfs.ID) {
	a, _, err := e.FS.Create(super, top, "f", vfs.CreateUnchecked, mode(0o644), vfs.Verifier{})
	if err == vfs.ESTALE || err == vfs.ENOENT {
		return // it was removed meanwhile
	}
	e.ok(err, "create")
	release, err := e.FS.Hold(super.Context, a.ID)
	if err == vfs.ESTALE {
		return
	}
	e.ok(err, "hold")
	defer release()
	if _, err := e.FS.Remove(super, top, "f"); err != nil && err != vfs.ENOENT {
		e.Errorf("remove: %v", err)
	}
	if _, _, err := e.FS.Write(super, a.ID, 0, []byte(strings.Repeat("x", 100)), vfs.Unstable); err != nil {
		e.Errorf("write to a file that is held: %v", err)
	}
	if a, err := e.FS.GetAttr(super, a.ID); err != nil || a.Size != 100 {
		e.Errorf("a file that is held: %+v, %v", a, err)
	}
}

// heldUntil ends an instance with files that have no name.
func heldUntil(e *env, end func(*env)) {
	top := e.limited(1<<30, 100)
	kept := e.create(super, top, "kept", 0o644)
	e.write(kept, 0, "kept", vfs.FileSync)
	few, many := e.create(super, top, "few", 0o644), e.create(super, top, "many", 0o644)
	e.write(few, 0, "few", vfs.FileSync)
	e.writeScattered(many)
	e.hold(kept)
	e.hold(few)
	e.hold(many)
	e.remove(top, "few")
	e.remove(top, "many")
	CheckConsistent(e.T, e.Meta)
	end(e)
	e.limited(1<<30, 100)
	e.reclaimed(0)
	for _, id := range []vfs.ID{few, many} {
		_, err := e.FS.GetAttr(super, id)
		e.want(err, vfs.ESTALE, "getattr of a file that had no name")
	}
	e.holds(kept, "kept")
	e.uses(top, 4, 2, "after the start")
}
