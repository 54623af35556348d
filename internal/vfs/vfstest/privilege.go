package vfstest

import "github.com/dittofs/dittofs/internal/vfs"

var privilegeTests = []behaviour{
	{"NothingBelongsToTheIdOfNobody", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		for _, set := range []vfs.SetAttr{{UID: ptr[uint32](vfs.NoID)}, {GID: ptr[uint32](vfs.NoID)}} {
			_, err := e.FS.SetAttr(super, f, set, nil)
			e.want(err, vfs.EINVAL, "setattr")
			_, _, err = e.FS.Create(super, e.top, "g", vfs.CreateGuarded, set, vfs.Verifier{})
			e.want(err, vfs.EINVAL, "create")
		}
		if a := e.attr(f); a.UID != 0 || a.GID != 0 {
			e.Errorf("the file belongs to %d:%d", a.UID, a.GID)
		}
	}},
	{"OnlyTheOwnerChangesTheMode", func(e *env) {
		f := e.create(alice, e.top, "f", 0o666)
		before := e.attr(f)
		_, err := e.FS.SetAttr(bob, f, mode(0o600), nil)
		e.want(err, vfs.EPERM, "chmod by another")
		if e.attr(f) != before {
			e.Fatal("a refused chmod changed the file")
		}
		e.setattr(alice, f, mode(0o7642))
		// Without a file type in it, and the setgid bit kept for a member.
		if got := e.attr(f).Mode; got != 0o7642 {
			e.Fatalf("mode is %o, want 7642", got)
		}
		e.setattr(super, f, mode(0o400))
	}},
	{"OnlyTheSuperuserGivesFilesAway", func(e *env) {
		f := e.create(alice, e.top, "f", 0o666)
		_, err := e.FS.SetAttr(alice, f, vfs.SetAttr{UID: &bob.Cred.UID}, nil)
		e.want(err, vfs.EPERM, "chown by the owner")
		_, err = e.FS.SetAttr(bob, f, vfs.SetAttr{UID: &bob.Cred.UID}, nil)
		e.want(err, vfs.EPERM, "chown by the receiver")
		_, err = e.FS.SetAttr(alice, f, vfs.SetAttr{UID: &alice.Cred.UID}, nil)
		e.ok(err, "chown by the owner to itself")
		e.setattr(super, f, vfs.SetAttr{UID: &bob.Cred.UID})
		if got := e.attr(f).UID; got != bob.Cred.UID {
			e.Fatalf("owner is %d", got)
		}
		_, err = e.FS.SetAttr(alice, f, mode(0o600), nil)
		e.want(err, vfs.EPERM, "chmod by the former owner")
	}},
	{"TheOwnerChangesTheGroupToOneOfTheOwn", func(e *env) {
		f := e.create(bob, e.top, "f", 0o666)
		_, err := e.FS.SetAttr(bob, f, vfs.SetAttr{GID: ptr(uint32(300))}, nil)
		e.want(err, vfs.EPERM, "chgrp to a foreign group")
		_, err = e.FS.SetAttr(alice, f, vfs.SetAttr{GID: ptr(uint32(100))}, nil)
		e.want(err, vfs.EPERM, "chgrp by another member")
		e.setattr(bob, f, vfs.SetAttr{GID: ptr(uint32(200))})
		if got := e.attr(f).GID; got != 200 {
			e.Fatalf("group is %d", got)
		}
		e.setattr(super, f, vfs.SetAttr{GID: ptr(uint32(300))})
	}},
	{"ARefusedSetAttrChangesNothing", func(e *env) {
		f := e.create(alice, e.top, "f", 0o666)
		e.write(f, 0, "abc", vfs.FileSync)
		before := e.attr(f)
		set := vfs.SetAttr{
			Mode: ptr(uint32(0o600)), UID: ptr(uint32(9)), Size: ptr(uint64(0)), Mtime: &vfs.TimeSet{Now: true},
		}
		wcc, err := e.FS.SetAttr(alice, f, set, nil)
		e.want(err, vfs.EPERM, "setattr with a foreign owner")
		if got := e.attr(f); got != before || wcc.After != before {
			e.Fatalf("the file went from %+v to %+v", before, got)
		}
		e.holds(f, "abc")
	}},
	{"AWriteClearsSetuidAndSetgid", func(e *env) {
		clears(e, func(who *vfs.Request, f vfs.ID) {
			_, wcc, err := e.FS.Write(who, f, 0, []byte("x"), vfs.Unstable)
			e.ok(err, "write")
			if wcc.After.Mode != e.attr(f).Mode {
				e.Fatal("the reply to the write shows another mode")
			}
		})
	}},
	{"ATruncationClearsSetuidAndSetgid", func(e *env) {
		clears(e, func(who *vfs.Request, f vfs.ID) {
			_, err := e.FS.SetAttr(who, f, vfs.SetAttr{Size: ptr(uint64(1))}, nil)
			e.ok(err, "truncate")
		})
	}},
	{"AChangeOfTheOwnerClearsSetuidAndSetgid", func(e *env) {
		for _, m := range []struct{ before, after uint32 }{
			{0o6755, 0o755}, {0o4700, 0o700}, {0o2755, 0o755}, {0o2745, 0o2745}, {0o1777, 0o1777},
		} {
			f := e.create(bob, e.top, "f", 0o644)
			e.setattr(super, f, mode(m.before))
			e.setattr(bob, f, vfs.SetAttr{GID: ptr(uint32(200))})
			if got := e.attr(f).Mode; got != m.after {
				e.Errorf("chgrp made %o of mode %o, want %o", got, m.before, m.after)
			}
			e.setattr(super, f, mode(m.before))
			e.setattr(super, f, vfs.SetAttr{UID: ptr(uint32(5))})
			if got := e.attr(f).Mode; got != m.after {
				e.Errorf("chown made %o of mode %o, want %o", got, m.before, m.after)
			}
			e.remove(e.top, "f")
		}
		d := e.mkdir(super, e.top, "d", 0o2775)
		e.setattr(super, d, vfs.SetAttr{GID: ptr(uint32(5))})
		if got := e.attr(d).Mode; got != 0o2775 {
			e.Errorf("chgrp made %o of a directory's 2775", got)
		}
	}},
	{"SetgidIsNotSetByWhoIsNotInTheGroup", func(e *env) {
		f := e.create(alice, e.top, "f", 0o755)
		e.setattr(super, f, vfs.SetAttr{GID: ptr(uint32(300))})
		e.setattr(alice, f, mode(0o6755))
		if got := e.attr(f).Mode; got != 0o4755 {
			e.Fatalf("mode is %o, want 4755", got)
		}
		e.setattr(super, f, mode(0o6755))
		if got := e.attr(f).Mode; got != 0o6755 {
			e.Fatalf("mode is %o, want 6755", got)
		}
	}},
	{"ASetgidDirectoryGivesItsGroupToWhatIsMadeInIt", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o2777)
		e.setattr(super, d, vfs.SetAttr{GID: ptr(uint32(77))})
		f := e.attr(e.create(alice, d, "f", 0o644))
		if f.GID != 77 || f.UID != alice.Cred.UID || f.Mode != 0o644 {
			e.Fatalf("a file got %d:%d mode %o", f.UID, f.GID, f.Mode)
		}
		sub := e.attr(e.mkdir(alice, d, "sub", 0o755))
		if sub.GID != 77 || sub.Mode != 0o2755 {
			e.Fatalf("a directory got group %d mode %o", sub.GID, sub.Mode)
		}
		if g := e.attr(e.create(carol, e.top, "plain", 0o644)).GID; g != carol.Cred.GID {
			e.Fatalf("a file in a plain directory got group %d", g)
		}
	}},
	{"TimesAreSetByTheOwnerAndToNowByWriters", timesBy},
	{"OnlyTheSuperuserMakesDevices", func(e *env) {
		for _, typ := range []vfs.FileType{vfs.TypeBlock, vfs.TypeChar} {
			_, _, err := e.FS.Mknod(alice, e.top, "dev", typ, vfs.Device{Major: 1, Minor: 3}, mode(0o666))
			e.want(err, vfs.EPERM, "mknod by a user")
		}
		_, _, err := e.FS.Mknod(alice, e.top, "fifo", vfs.TypeFIFO, vfs.Device{}, mode(0o666))
		e.ok(err, "mkfifo by a user")
		e.absent(e.top, "dev")
	}},
}

// clears checks that change drops the privileges of a program, except when
// the superuser makes it, and never those of a group that cannot execute.
func clears(e *env, change func(*vfs.Request, vfs.ID)) {
	for _, tt := range []struct {
		who           *vfs.Request
		before, after uint32
	}{
		{alice, 0o6777, 0o777},
		{carol, 0o6777, 0o777},
		{carol, 0o4766, 0o766},
		{carol, 0o2777, 0o777},
		{carol, 0o2767, 0o2767}, // not executable for the group: mandatory locking
		{carol, 0o1777, 0o1777},
		{super, 0o6777, 0o6777},
	} {
		f := e.create(alice, e.top, "f", 0o777)
		e.write(f, 0, "program", vfs.FileSync)
		e.setattr(super, f, mode(tt.before))
		change(tt.who, f)
		if got := e.attr(f).Mode; got != tt.after {
			e.Errorf("user %d made %o of mode %o, want %o", tt.who.Cred.UID, got, tt.before, tt.after)
		}
		e.commit(f)
		if got := e.attr(f).Mode; got != tt.after {
			e.Errorf("after a commit mode %o is %o, want %o", tt.before, got, tt.after)
		}
		e.remove(e.top, "f")
	}
}

func timesBy(e *env) {
	f := e.create(alice, e.top, "f", 0o620)
	now := vfs.SetAttr{Atime: &vfs.TimeSet{Now: true}, Mtime: &vfs.TimeSet{Now: true}}
	given := vfs.SetAttr{Mtime: &vfs.TimeSet{Time: vfs.Time{Sec: 7, Nsec: 8}}}
	mixed := vfs.SetAttr{Atime: &vfs.TimeSet{Now: true}, Mtime: given.Mtime}

	e.setattr(alice, f, given)
	e.setattr(super, f, given)
	if got := e.attr(f).Mtime; got != given.Mtime.Time {
		e.Fatalf("mtime is %+v", got)
	}
	_, err := e.FS.SetAttr(bob, f, given, nil)
	e.want(err, vfs.EPERM, "a given time by a writer")
	_, err = e.FS.SetAttr(bob, f, mixed, nil)
	e.want(err, vfs.EPERM, "a given and the current time by a writer")
	_, err = e.FS.SetAttr(carol, f, now, nil)
	e.want(err, vfs.EACCES, "the current time by who may not write")
	if got := e.attr(f).Mtime; got != given.Mtime.Time {
		e.Fatalf("a refused change left mtime %+v", got)
	}
	e.setattr(bob, f, now)
	a := e.attr(f)
	if a.Mtime.Sec < 1e9 || a.Atime != a.Mtime || a.Ctime != a.Mtime {
		e.Fatalf("the current time gave atime %+v mtime %+v ctime %+v", a.Atime, a.Mtime, a.Ctime)
	}
	// The owner needs no write permission.
	e.setattr(alice, f, mode(0o400))
	e.setattr(alice, f, now)
}
