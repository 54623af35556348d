package vfstest

import (
	"github.com/dittofs/dittofs/internal/vfs"
)

var timeTests = []behaviour{
	{"TimesHaveNanosecondsAndALongRange", func(e *env) {
		f := e.create(alice, e.top, "f", 0o644)
		for _, want := range []vfs.Time{
			{Sec: 0, Nsec: 0}, {Sec: 1, Nsec: 999_999_999}, {Sec: -1, Nsec: 1}, {Sec: -1 << 40, Nsec: 5},
			{Sec: 1 << 31, Nsec: 7}, {Sec: 1 << 32, Nsec: 123_456_789}, {Sec: 1 << 40, Nsec: 0},
		} {
			e.setattr(alice, f, vfs.SetAttr{
				Atime: &vfs.TimeSet{Time: want}, Mtime: &vfs.TimeSet{Time: vfs.Time{Sec: want.Sec + 1, Nsec: want.Nsec}},
			})
			a := e.attr(f)
			if a.Atime != want || a.Mtime.Sec != want.Sec+1 || a.Mtime.Nsec != want.Nsec {
				e.Fatalf("atime %+v mtime %+v, want %+v", a.Atime, a.Mtime, want)
			}
		}
		before := e.attr(f)
		e.restart()
		if a := e.attr(f); a != before {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
	}},
	{"ASecondHasLessThanABillionNanoseconds", func(e *env) {
		f := e.create(alice, e.top, "f", 0o644)
		before := e.attr(f)
		for _, nsec := range []uint32{1_000_000_000, 1<<32 - 1} {
			for _, set := range []vfs.SetAttr{
				{Atime: &vfs.TimeSet{Time: vfs.Time{Nsec: nsec}}}, {Mtime: &vfs.TimeSet{Time: vfs.Time{Nsec: nsec}}},
			} {
				_, err := e.FS.SetAttr(alice, f, set, nil)
				e.want(err, vfs.EINVAL, "setattr")
				_, _, err = e.FS.Create(alice, e.top, "n", vfs.CreateGuarded, set, vfs.Verifier{})
				e.want(err, vfs.EINVAL, "create")
			}
		}
		if e.attr(f) != before {
			e.Fatal("a refused time changed the file")
		}
	}},
	{"EachChangeMovesTheTimesItShould", timesMove},
	{"ASizeChangeSetsTheModificationTime", func(e *env) {
		f := e.create(alice, e.top, "f", 0o644)
		e.write(f, 0, "abc", vfs.FileSync)
		for _, size := range []uint64{2, 10, 10, 0} {
			before := e.attr(f)
			e.truncate(f, size)
			a := e.attr(f)
			if !after(a.Mtime, before.Mtime) || !after(a.Ctime, before.Ctime) || a.Atime != before.Atime ||
				a.Change <= before.Change {
				e.Fatalf("truncation to %d: from %+v to %+v", size, before, a)
			}
		}
		given := vfs.Time{Sec: 5}
		e.setattr(alice, f, vfs.SetAttr{Size: ptr(uint64(7)), Mtime: &vfs.TimeSet{Time: given}})
		if a := e.attr(f); a.Mtime != given || a.Size != 7 {
			e.Fatalf("mtime %+v size %d", a.Mtime, a.Size)
		}
	}},
	{"AGuardStopsWhatWasDecidedOnAnOlderState", guard},
}

func timesMove(e *env) {
	d := e.mkdir(super, e.top, "d", 0o755)
	f := e.create(super, d, "f", 0o644)
	e.write(f, 0, "data", vfs.FileSync)
	type moves struct{ file, dir string } // of a, m, c: the times that move
	steps := []struct {
		what string
		do   func()
		want moves
	}{
		{"write", func() { e.write(f, 0, "x", vfs.Unstable) }, moves{"mc", ""}},
		{"stable write", func() { e.write(f, 0, "y", vfs.FileSync) }, moves{"mc", ""}},
		{"chmod", func() { e.setattr(super, f, mode(0o600)) }, moves{"c", ""}},
		{"chown", func() { e.setattr(super, f, vfs.SetAttr{UID: ptr(uint32(4))}) }, moves{"c", ""}},
		{"utimes", func() { e.setattr(super, f, vfs.SetAttr{Atime: &vfs.TimeSet{Now: true}}) }, moves{"ac", ""}},
		{"empty setattr", func() { e.setattr(super, f, vfs.SetAttr{}) }, moves{"", ""}},
		{"commit", func() { e.commit(f) }, moves{"", ""}},
		{"lookup", func() { e.lookup(d, "f") }, moves{"", ""}},
		{"link", func() { e.link(f, e.top, "g") }, moves{"c", ""}},
		{"remove elsewhere", func() { e.remove(e.top, "g") }, moves{"c", ""}},
		{"create", func() { e.create(super, d, "n", 0o600) }, moves{"", "mc"}},
		{"chmod of another", func() { e.setattr(super, e.lookup(d, "n"), mode(0o644)) }, moves{"", ""}},
		{"rename", func() { e.rename(d, "n", d, "m") }, moves{"", "mc"}},
		{"remove", func() { e.remove(d, "m") }, moves{"", "mc"}},
		{"mkdir", func() { e.mkdir(super, d, "sub", 0o700) }, moves{"", "mc"}},
		{"rmdir", func() { e.rmdir(d, "sub") }, moves{"", "mc"}},
		{"symlink", func() { e.symlink(d, "s", "t") }, moves{"", "mc"}},
		{"link here", func() { e.link(f, d, "g") }, moves{"c", "mc"}},
		{"rename between names", func() { e.rename(d, "g", d, "f") }, moves{"", ""}},
		{"rename over", func() { e.rename(d, "s", d, "g") }, moves{"c", "mc"}},
		{"refused mkdir", func() { _, _, _ = e.FS.Mkdir(super, d, "f", mode(0o700)) }, moves{"", ""}},
	}
	for _, s := range steps {
		file, dir := e.attr(f), e.attr(d)
		s.do()
		if got := moved(file, e.attr(f)); got != s.want.file {
			e.Errorf("%s moves %q of the file, want %q", s.what, got, s.want.file)
		}
		if got := moved(dir, e.attr(d)); got != s.want.dir {
			e.Errorf("%s moves %q of the directory, want %q", s.what, got, s.want.dir)
		}
	}
}

// moved names the times that went on. The change attribute goes with ctime.
func moved(before, now vfs.Attr) string {
	var m string
	if now.Atime != before.Atime {
		m += "a"
	}
	if now.Mtime != before.Mtime {
		m += "m"
	}
	if now.Ctime != before.Ctime {
		m += "c"
	}
	if (now.Ctime != before.Ctime) != (now.Change > before.Change) {
		m += "?"
	}
	return m
}

func guard(e *env) {
	f := e.create(alice, e.top, "f", 0o644)
	e.write(f, 0, "abc", vfs.FileSync)
	old := e.attr(f).Ctime
	wcc, err := e.FS.SetAttr(alice, f, mode(0o600), &old)
	e.ok(err, "setattr with the right guard")
	if wcc.Before.Ctime != old || wcc.After.Mode != 0o600 {
		e.Fatalf("wrong attributes: %+v", wcc)
	}
	before := e.attr(f)
	for _, g := range []vfs.Time{
		old, {}, {Sec: before.Ctime.Sec, Nsec: before.Ctime.Nsec ^ 1}, {Sec: before.Ctime.Sec + 1, Nsec: before.Ctime.Nsec},
	} {
		wcc, err = e.FS.SetAttr(alice, f, vfs.SetAttr{Mode: ptr(uint32(0)), Size: ptr(uint64(0))}, &g)
		e.want(err, vfs.ENOTSYNC, "setattr with a wrong guard")
		if !wcc.Valid || wcc.Before != before || wcc.After != before || e.attr(f) != before {
			e.Fatalf("the refused setattr left %+v", wcc)
		}
	}
	e.holds(f, "abc")
}
