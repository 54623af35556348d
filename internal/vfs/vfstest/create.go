package vfstest

import (
	"fmt"
	"strings"

	"github.com/dittofs/dittofs/internal/vfs"
)

var createTests = []behaviour{
	{"ANewFileHasTheAttributesThatItWasMadeWith", newFile},
	{"ANewDirectoryCountsInItsParent", newDirectory},
	{"UncheckedOpensWhatExists", unchecked},
	{"GuardedRefusesWhatExists", func(e *env) {
		f := e.create(alice, e.top, "f", 0o644)
		e.write(f, 0, "kept", vfs.FileSync)
		_, wcc, err := e.FS.Create(alice, e.top, "f", vfs.CreateGuarded, vfs.SetAttr{Size: ptr(uint64(0))}, vfs.Verifier{})
		e.want(err, vfs.EEXIST, "guarded create")
		if !wcc.Valid || wcc.Before != wcc.After || wcc.After != e.attr(e.top) {
			e.Fatalf("wrong attributes of the directory: %+v", wcc)
		}
		e.holds(f, "kept")
	}},
	{"CreateRefusesWhatIsNoRegularFile", func(e *env) {
		e.mkdir(super, e.top, "d", 0o777)
		e.symlink(e.top, "s", "target")
		e.fifo(e.top, "p")
		for _, name := range []string{"d", "s", "p", ".", ".."} {
			for _, how := range []vfs.CreateMode{vfs.CreateUnchecked, vfs.CreateGuarded, vfs.CreateExclusive} {
				_, _, err := e.FS.Create(super, e.top, name, how, vfs.SetAttr{}, vfs.Verifier{})
				e.want(err, vfs.EEXIST, fmt.Sprint("create over ", name, " how ", how))
			}
		}
	}},
	{"ARetriedExclusiveCreateSucceeds", exclusiveRetry},
	{"AnExclusiveCreateIsRetriedAfterChangesOfTheFile", func(e *env) {
		v := vfs.Verifier{1, 2, 3, 4, 5, 6, 7, 8}
		a, _, err := e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, v)
		e.ok(err, "exclusive create")
		past := vfs.Time{Sec: 1, Nsec: 1}
		e.setattr(alice, a.ID, vfs.SetAttr{
			Mode: ptr(uint32(0o640)), Size: ptr(uint64(77)), Atime: &vfs.TimeSet{Time: past}, Mtime: &vfs.TimeSet{Time: past},
		})
		e.write(a.ID, 100, "data", vfs.FileSync)
		again, _, err := e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, v)
		e.ok(err, "retry")
		if again != e.attr(a.ID) {
			e.Fatalf("the retry gave %+v, the file is %+v", again, e.attr(a.ID))
		}
		e.rename(e.top, "f", e.top, "g")
		_, _, err = e.FS.Create(alice, e.top, "g", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{1, 2, 3, 4, 5, 6, 7, 9})
		e.want(err, vfs.EEXIST, "another verifier")
	}},
	{"AnExclusiveCreateIsRetriedAfterARestart", func(e *env) {
		v := vfs.Verifier{0xff, 0, 0xff}
		a, _, err := e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, v)
		e.ok(err, "exclusive create")
		e.restart()
		again, _, err := e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, v)
		e.ok(err, "retry")
		if again != a {
			e.Fatalf("the retry gave %+v, want %+v", again, a)
		}
		_, _, err = e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{})
		e.want(err, vfs.EEXIST, "another verifier")
	}},
	{"ASizeAtCreationMakesAHole", func(e *env) {
		a, _, err := e.FS.Create(alice, e.top, "f", vfs.CreateGuarded,
			vfs.SetAttr{Mode: ptr(uint32(0o600)), Size: ptr(uint64(5000))}, vfs.Verifier{})
		e.ok(err, "create")
		if a.Size != 5000 || a.Used != 0 {
			e.Fatalf("size %d used %d", a.Size, a.Used)
		}
		e.holds(a.ID, strings.Repeat("\x00", 5000))
		_, _, err = e.FS.Create(alice, e.top, "g", vfs.CreateGuarded, vfs.SetAttr{Size: ptr(uint64(1) << 63)}, vfs.Verifier{})
		e.want(err, vfs.EFBIG, "create of 2^63 bytes")
		e.absent(e.top, "g")
	}},
	{"ASymbolicLinkKeepsItsTarget", symbolicLink},
	{"SpecialFilesKeepTheirTypeAndDevice", specialFiles},
	{"NothingIsMadeInWhatIsNoDirectory", func(e *env) {
		for _, parent := range []vfs.ID{e.create(super, e.top, "f", 0o777), e.symlink(e.top, "s", "."), e.fifo(e.top, "p")} {
			_, _, err := e.FS.Create(super, parent, "n", vfs.CreateUnchecked, mode(0o600), vfs.Verifier{})
			e.want(err, vfs.ENOTDIR, "create")
			_, _, err = e.FS.Mkdir(super, parent, "n", mode(0o700))
			e.want(err, vfs.ENOTDIR, "mkdir")
			_, _, err = e.FS.Symlink(super, parent, "n", "t", vfs.SetAttr{})
			e.want(err, vfs.ENOTDIR, "symlink")
			_, _, err = e.FS.Mknod(super, parent, "n", vfs.TypeFIFO, vfs.Device{}, mode(0o600))
			e.want(err, vfs.ENOTDIR, "mknod")
			_, _, err = e.FS.Link(super, e.lookup(e.top, "f"), parent, "n")
			e.want(err, vfs.ENOTDIR, "link")
			_, _, err = e.FS.Lookup(super, parent, "n")
			e.want(err, vfs.ENOTDIR, "lookup")
			_, _, err = e.FS.ReadDir(super, parent, vfs.Position{}, true, func(vfs.DirEntry) bool { return true })
			e.want(err, vfs.ENOTDIR, "readdir")
		}
	}},
	{"OneOfManyCreatorsOfANameWins", oneCreatorWins},
}

func newFile(e *env) {
	before := e.attr(e.top)
	set := vfs.SetAttr{Mode: ptr(uint32(0o640)), Mtime: &vfs.TimeSet{Time: vfs.Time{Sec: 12, Nsec: 34}}}
	a, wcc, err := e.FS.Create(bob, e.top, "f", vfs.CreateUnchecked, set, vfs.Verifier{})
	e.ok(err, "create")
	want := vfs.Attr{
		ID: a.ID, Type: vfs.TypeRegular, Mode: 0o640, Nlink: 1, UID: bob.Cred.UID, GID: bob.Cred.GID,
		Atime: a.Atime, Mtime: vfs.Time{Sec: 12, Nsec: 34}, Ctime: a.Ctime, Change: a.Change,
	}
	if a != want {
		e.Fatalf("the new file is %+v, want %+v", a, want)
	}
	if a.ID.Share != e.share || a.ID.Inode == 0 || a.Ctime.Sec < 1e9 {
		e.Fatalf("the new file is %+v", a)
	}
	if got := e.attr(a.ID); got != a {
		e.Fatalf("getattr says %+v, create said %+v", got, a)
	}
	child, dir, err := e.FS.Lookup(bob, e.top, "f")
	e.ok(err, "lookup")
	if child != a || dir != wcc.After || dir != e.attr(e.top) {
		e.Fatalf("lookup says %+v in %+v", child, dir)
	}
	if wcc.Before != before || dir.Nlink != before.Nlink || !after(dir.Mtime, before.Mtime) || dir.Ctime != dir.Mtime ||
		dir.Change <= before.Change {
		e.Fatalf("the directory went from %+v to %+v", before, dir)
	}
}

func newDirectory(e *env) {
	before := e.attr(e.top)
	a, wcc, err := e.FS.Mkdir(bob, e.top, "d", mode(0o710))
	e.ok(err, "mkdir")
	if a.Type != vfs.TypeDirectory || a.Nlink != 2 || a.Mode != 0o710 || a.UID != bob.Cred.UID || a.Parent != e.top.Inode {
		e.Fatalf("the new directory is %+v", a)
	}
	if wcc.After.Nlink != before.Nlink+1 {
		e.Fatalf("the parent has %d links, had %d", wcc.After.Nlink, before.Nlink)
	}
	if up := e.lookup(a.ID, ".."); up != e.top {
		e.Fatalf("\"..\" is %+v", up)
	}
	if self := e.lookup(a.ID, "."); self != a.ID {
		e.Fatalf("\".\" is %+v", self)
	}
	if up := e.lookup(e.top, ".."); up != e.top {
		e.Fatalf("\"..\" of the top directory is %+v", up)
	}
	for _, name := range []string{"d", ".", ".."} {
		_, _, err = e.FS.Mkdir(bob, e.top, name, mode(0o700))
		e.want(err, vfs.EEXIST, "mkdir "+name)
	}
	if entries, eof := e.list(a.ID, 0, 0); len(entries) != 0 || !eof {
		e.Fatalf("the new directory holds %+v", entries)
	}
}

func unchecked(e *env) {
	f := e.create(alice, e.top, "f", 0o640)
	e.write(f, 0, "some data", vfs.Unstable)
	before := e.attr(f)
	dir := e.attr(e.top)
	a, wcc, err := e.FS.Create(alice, e.top, "f", vfs.CreateUnchecked, mode(0o777), vfs.Verifier{})
	e.ok(err, "unchecked create")
	if a != before || e.attr(f) != before {
		e.Fatalf("an unchecked create without size went from %+v to %+v", before, a)
	}
	if wcc.Before != dir || wcc.After != dir {
		e.Fatalf("the directory changed: %+v", wcc)
	}
	a, _, err = e.FS.Create(alice, e.top, "f", vfs.CreateUnchecked,
		vfs.SetAttr{Mode: ptr(uint32(0o777)), Size: ptr(uint64(0))}, vfs.Verifier{})
	e.ok(err, "unchecked create with size 0")
	if a.ID != f || a.Size != 0 || a.Used != 0 || a.Mode != 0o640 || a != e.attr(f) {
		e.Fatalf("an unchecked create with size 0 gave %+v", a)
	}
	e.holds(f, "")
	_, _, err = e.FS.Create(carol, e.top, "f", vfs.CreateUnchecked, vfs.SetAttr{Size: ptr(uint64(0))}, vfs.Verifier{})
	e.want(err, vfs.EACCES, "truncation by who may not write")
}

func exclusiveRetry(e *env) {
	v := vfs.Verifier{1, 2, 3, 4, 5, 6, 7, 8}
	a, _, err := e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, v)
	e.ok(err, "exclusive create")
	dir := e.attr(e.top)
	again, wcc, err := e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, v)
	e.ok(err, "retry")
	if again != a || !wcc.Valid || wcc.Before != dir || wcc.After != dir {
		e.Fatalf("the retry gave %+v and %+v, want %+v and an unchanged directory", again, wcc, a)
	}
	for i := range v { // all eight bytes count
		other := v
		other[i]++
		_, wcc, err = e.FS.Create(alice, e.top, "f", vfs.CreateExclusive, vfs.SetAttr{}, other)
		e.want(err, vfs.EEXIST, "another verifier")
		if !wcc.Valid || wcc.Before != dir || wcc.After != dir {
			e.Fatalf("the refusal has no attributes of the directory: %+v", wcc)
		}
	}
	// A file that was made otherwise has no verifier, not one of zeros.
	e.create(alice, e.top, "plain", 0o600)
	_, _, err = e.FS.Create(alice, e.top, "plain", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{})
	e.want(err, vfs.EEXIST, "exclusive create of a plain file")
	_, _, err = e.FS.Create(alice, e.top, "zero", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{})
	e.ok(err, "exclusive create with a verifier of zeros")
	_, _, err = e.FS.Create(alice, e.top, "zero", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{})
	e.ok(err, "its retry")
}

func symbolicLink(e *env) {
	for i, target := range []string{
		"t", "/absolute/path", "../../x", "no such thing", strings.Repeat("p", vfs.MaxPath), "\xff\xfe",
	} {
		name := fmt.Sprint("s", i)
		a, _, err := e.FS.Symlink(bob, e.top, name, target, vfs.SetAttr{})
		e.ok(err, "symlink")
		if a.Type != vfs.TypeSymlink || a.Size != uint64(len(target)) || a.Nlink != 1 || a.UID != bob.Cred.UID ||
			a.Mode != 0o777 {
			e.Fatalf("the link is %+v", a)
		}
		got, attr, err := e.FS.Readlink(carol, a.ID)
		e.ok(err, "readlink")
		if got != target || attr != a {
			e.Fatalf("readlink says %q and %+v", got, attr)
		}
	}
	_, _, err := e.FS.Symlink(bob, e.top, "n", strings.Repeat("p", vfs.MaxPath+1), vfs.SetAttr{})
	e.want(err, vfs.ENAMETOOLONG, "a target that is too long")
	for _, target := range []string{"", "\x00", "a\x00b"} {
		_, _, err = e.FS.Symlink(bob, e.top, "n", target, vfs.SetAttr{})
		e.want(err, vfs.EINVAL, fmt.Sprintf("the target %q", target))
	}
	_, _, err = e.FS.Symlink(bob, e.top, "n", strings.Repeat("p", 4096), vfs.SetAttr{})
	e.want(err, vfs.ENAMETOOLONG, "a target that leaves no place for the NUL of PATH_MAX")
	_, _, err = e.FS.Symlink(bob, e.top, "s0", "x", vfs.SetAttr{})
	e.want(err, vfs.EEXIST, "a name that exists")
	for _, id := range []vfs.ID{e.top, e.create(bob, e.top, "f", 0o777), e.fifo(e.top, "p")} {
		_, attr, err := e.FS.Readlink(bob, id)
		e.want(err, vfs.EINVAL, "readlink of what is no link")
		if attr.ID != id {
			e.Fatal("the refusal has no attributes")
		}
	}
	s := e.lookup(e.top, "s0")
	_, _, err = e.tryRead(super, s, 0, 1)
	e.want(err, vfs.EINVAL, "read of a link")
	_, _, err = e.FS.Write(super, s, 0, []byte("x"), vfs.FileSync)
	e.want(err, vfs.EINVAL, "write of a link")
}

func specialFiles(e *env) {
	for _, typ := range []vfs.FileType{vfs.TypeBlock, vfs.TypeChar, vfs.TypeFIFO, vfs.TypeSocket} {
		name := fmt.Sprint("special", typ)
		dev := vfs.Device{}
		if typ == vfs.TypeBlock || typ == vfs.TypeChar {
			dev = vfs.Device{Major: 0xfff, Minor: 0xfffff}
		}
		a, _, err := e.FS.Mknod(super, e.top, name, typ, dev, mode(0o622))
		e.ok(err, "mknod")
		if a.Type != typ || a.Device != dev || a.Mode != 0o622 || a.Nlink != 1 || a.Size != 0 {
			e.Fatalf("the special file is %+v", a)
		}
		_, _, err = e.tryRead(super, a.ID, 0, 1)
		e.want(err, vfs.EINVAL, "read")
		_, wcc, err := e.FS.Write(super, a.ID, 0, []byte("x"), vfs.FileSync)
		e.want(err, vfs.EINVAL, "write")
		if !wcc.Valid {
			e.Fatal("the refused write has no attributes")
		}
		_, err = e.FS.Commit(super, a.ID, 0, 0)
		e.want(err, vfs.EINVAL, "commit")
		_, err = e.FS.SetAttr(super, a.ID, vfs.SetAttr{Size: ptr(uint64(0))}, nil)
		e.want(err, vfs.EINVAL, "truncate")
		e.setattr(super, a.ID, vfs.SetAttr{Mode: ptr(uint32(0o600)), UID: ptr(uint32(5))})
		_, _, err = e.FS.Mknod(super, e.top, name, typ, dev, mode(0o600))
		e.want(err, vfs.EEXIST, "mknod of a name that exists")
		if got := e.attr(e.lookup(e.top, name)); got.Type != typ || got.Device != dev {
			e.Fatalf("lookup says %+v", got)
		}
	}
	for _, typ := range []vfs.FileType{0, vfs.TypeRegular, vfs.TypeDirectory, vfs.TypeSymlink, 8, 255} {
		_, _, err := e.FS.Mknod(super, e.top, "n", typ, vfs.Device{}, mode(0o600))
		e.want(err, vfs.EBADTYPE, fmt.Sprint("mknod of type ", typ))
	}
}

func oneCreatorWins(e *env) {
	const rounds, creators = 20, 8
	for round := range rounds {
		name := fmt.Sprint("f", round)
		won := make(chan vfs.ID, creators)
		for i := range creators {
			go func() {
				v := vfs.Verifier{byte(i)}
				a, _, err := e.FS.Create(super, e.top, name, vfs.CreateExclusive, vfs.SetAttr{}, v)
				if err != nil && err != vfs.EEXIST {
					e.Errorf("create: %v", err)
				}
				if err != nil {
					a.ID = vfs.ID{}
				}
				won <- a.ID
			}()
		}
		var winner vfs.ID
		for range creators {
			if id := <-won; id != (vfs.ID{}) {
				if winner != (vfs.ID{}) {
					e.Fatal("two exclusive creates of one name succeeded")
				}
				winner = id
			}
		}
		if got := e.lookup(e.top, name); got != winner {
			e.Fatalf("the name is %+v, its creator got %+v", got, winner)
		}
	}
}
