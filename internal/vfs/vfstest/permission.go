package vfstest

import (
	"fmt"

	"github.com/dittofs/dittofs/internal/vfs"
)

var permissionTests = []behaviour{
	{"TheOwnerReadsAndWritesWhatTheModeForbids", func(e *env) {
		f := e.create(alice, e.top, "f", 0)
		_, _, err := e.FS.Write(alice, f, 0, []byte("mine"), vfs.FileSync)
		e.ok(err, "write by the owner")
		_, _, err = e.tryRead(alice, f, 0, 4)
		e.ok(err, "read by the owner")
		_, err = e.FS.SetAttr(alice, f, vfs.SetAttr{Size: ptr(uint64(2))}, nil)
		e.ok(err, "truncate by the owner")
		_, _, err = e.FS.Write(bob, f, 0, []byte("x"), vfs.FileSync)
		e.want(err, vfs.EACCES, "write by the group")
		e.holds(f, "mi")
	}},
	{"ModeBitsDecideForGroupAndOthers", modeBitsDecide},
	{"WhoMayExecuteMayRead", func(e *env) {
		f := e.create(alice, e.top, "program", 0o711)
		e.write(f, 0, "ELF", vfs.FileSync)
		_, _, err := e.tryRead(carol, f, 0, 3)
		e.ok(err, "read of an executable file")
		got, _, err := e.FS.Access(carol, f, 0x3f)
		e.ok(err, "access")
		if got != vfs.AccessExecute {
			e.Fatalf("access is %#x, want execute alone", got)
		}
	}},
	{"TheSuperuserDoesEverythingButExecuteWhatNobodyMay", func(e *env) {
		f := e.create(alice, e.top, "f", 0)
		e.write(f, 0, "x", vfs.FileSync)
		got, _, err := e.FS.Access(super, f, 0x3f)
		e.ok(err, "access")
		if want := vfs.AccessRead | vfs.AccessModify | vfs.AccessExtend; got != want {
			e.Fatalf("access is %#x, want %#x", got, want)
		}
		e.setattr(super, f, mode(0o001))
		got, _, _ = e.FS.Access(super, f, 0x3f)
		if got&vfs.AccessExecute == 0 {
			e.Fatal("the superuser may not execute a file that others may")
		}
		d := e.mkdir(alice, e.top, "d", 0)
		e.create(super, d, "inside", 0o600)
		e.lookup(d, "inside")
	}},
	{"AccessTellsWhatTheModeGives", accessTells},
	{"SearchPermissionIsNeededToFindNames", func(e *env) {
		d := e.mkdir(alice, e.top, "d", 0o766) // read and write, no search
		e.create(alice, d, "f", 0o666)
		_, dir, err := e.FS.Lookup(carol, d, "f")
		e.want(err, vfs.EACCES, "lookup")
		if dir.ID != d {
			e.Fatal("the refusal has no attributes of the directory")
		}
		_, _, err = e.FS.Lookup(carol, d, "no such name")
		e.want(err, vfs.EACCES, "lookup of an absent name")
		_, _, err = e.FS.Create(carol, d, "g", vfs.CreateGuarded, mode(0o600), vfs.Verifier{})
		e.want(err, vfs.EACCES, "create")
		_, err = e.FS.Remove(carol, d, "f")
		e.want(err, vfs.EACCES, "remove")
		_, _, err = e.FS.ReadDir(carol, d, vfs.Position{}, false, func(vfs.DirEntry) bool { return true })
		e.ok(err, "readdir")
	}},
	{"ReadPermissionIsNeededToList", func(e *env) {
		d := e.mkdir(alice, e.top, "d", 0o733)
		e.create(alice, d, "f", 0o666)
		_, _, err := e.FS.ReadDir(carol, d, vfs.Position{}, false, func(vfs.DirEntry) bool { return true })
		e.want(err, vfs.EACCES, "readdir")
		_, _, err = e.FS.Lookup(carol, d, "f")
		e.ok(err, "lookup")
	}},
	{"WritePermissionIsNeededToChangeADirectory", writePermissionIsNeeded},
	{"ADirectoryIsMovedElsewhereOnlyByWhoMayWriteIt", func(e *env) {
		e.mkdir(alice, e.top, "foreign", 0o755)
		to := e.mkdir(carol, e.top, "to", 0o755)
		_, _, err := e.FS.Rename(carol, e.top, "foreign", to, "taken")
		e.want(err, vfs.EACCES, "rename into another directory")
		_, _, err = e.FS.Rename(carol, e.top, "foreign", e.top, "renamed")
		e.ok(err, "rename within the directory")
	}},
	{"AStickyDirectoryKeepsFilesFromOthers", stickyDirectory},
}

func modeBitsDecide(e *env) {
	tests := []struct {
		mode        uint32
		who         *vfs.Request
		read, write bool
	}{
		{0o640, bob, true, false},
		{0o620, bob, false, true},
		{0o660, bob, true, true},
		{0o600, bob, false, false},
		{0o604, bob, false, false}, // the group's bits count, not those of others
		{0o640, carol, false, false},
		{0o604, carol, true, false},
		{0o602, carol, false, true},
		{0o666, carol, true, true},
		{0o060, as(7, 7, 5, 100), true, true}, // by a supplementary group
		{0o006, alice, true, true},            // the owner always
		{0o000, super, true, true},
	}
	for i, tt := range tests {
		f := e.create(alice, e.top, fmt.Sprint("f", i), tt.mode)
		e.write(f, 0, "data", vfs.FileSync)
		_, _, err := e.tryRead(tt.who, f, 0, 4)
		if (err == nil) != tt.read || err != nil && err != vfs.EACCES {
			e.Errorf("mode %o, %+v: read gives %v", tt.mode, tt.who.Cred, err)
		}
		_, wcc, err := e.FS.Write(tt.who, f, 0, []byte("x"), vfs.FileSync)
		if (err == nil) != tt.write || err != nil && err != vfs.EACCES {
			e.Errorf("mode %o, %+v: write gives %v", tt.mode, tt.who.Cred, err)
		}
		if !wcc.Valid {
			e.Errorf("mode %o, %+v: write gives no attributes", tt.mode, tt.who.Cred)
		}
		_, err = e.FS.SetAttr(tt.who, f, vfs.SetAttr{Size: ptr(uint64(1))}, nil)
		if (err == nil) != tt.write || err != nil && err != vfs.EACCES {
			e.Errorf("mode %o, %+v: truncate gives %v", tt.mode, tt.who.Cred, err)
		}
	}
}

func accessTells(e *env) {
	const all = vfs.AccessMask(0x3f)
	file := vfs.AccessModify | vfs.AccessExtend
	dir := vfs.AccessModify | vfs.AccessExtend | vfs.AccessDelete
	tests := []struct {
		dir  bool
		mode uint32
		who  *vfs.Request
		want vfs.AccessMask
	}{
		{false, 0o644, alice, vfs.AccessRead | file},
		{false, 0o644, bob, vfs.AccessRead},
		{false, 0o751, bob, vfs.AccessRead | vfs.AccessExecute},
		{false, 0o751, carol, vfs.AccessExecute},
		{false, 0o077, alice, 0},
		{true, 0o755, alice, vfs.AccessRead | vfs.AccessLookup | dir},
		{true, 0o751, carol, vfs.AccessLookup},
		{true, 0o000, super, vfs.AccessRead | vfs.AccessLookup | dir},
	}
	for i, tt := range tests {
		name := fmt.Sprint("x", i)
		var id vfs.ID
		if tt.dir {
			id = e.mkdir(alice, e.top, name, tt.mode)
		} else {
			id = e.create(alice, e.top, name, tt.mode)
		}
		got, attr, err := e.FS.Access(tt.who, id, all)
		e.ok(err, "access")
		if got != tt.want || attr.ID != id {
			e.Errorf("dir %v, mode %o, %+v: access %#x, want %#x", tt.dir, tt.mode, tt.who.Cred, got, tt.want)
		}
		if got, _, _ = e.FS.Access(tt.who, id, vfs.AccessRead); got != tt.want&vfs.AccessRead {
			e.Errorf("dir %v, mode %o: access answers more than it was asked for: %#x", tt.dir, tt.mode, got)
		}
	}
}

func writePermissionIsNeeded(e *env) {
	d := e.mkdir(alice, e.top, "d", 0o755)
	f := e.create(alice, d, "f", 0o666)
	e.mkdir(alice, d, "sub", 0o777)
	own := e.mkdir(carol, e.top, "own", 0o755)
	e.create(carol, own, "mine", 0o600)
	before := e.attr(d)
	try := map[string]func() error{
		"create": func() error {
			_, _, err := e.FS.Create(carol, d, "n", vfs.CreateUnchecked, mode(0o600), vfs.Verifier{})
			return err
		},
		"mkdir":   func() error { _, _, err := e.FS.Mkdir(carol, d, "n", mode(0o700)); return err },
		"symlink": func() error { _, _, err := e.FS.Symlink(carol, d, "n", "t", vfs.SetAttr{}); return err },
		"mknod": func() error {
			_, _, err := e.FS.Mknod(carol, d, "n", vfs.TypeSocket, vfs.Device{}, mode(0o600))
			return err
		},
		"link":        func() error { _, _, err := e.FS.Link(carol, f, d, "n"); return err },
		"remove":      func() error { _, err := e.FS.Remove(carol, d, "f"); return err },
		"rmdir":       func() error { _, err := e.FS.Rmdir(carol, d, "sub"); return err },
		"rename out":  func() error { _, _, err := e.FS.Rename(carol, d, "f", own, "f"); return err },
		"rename in":   func() error { _, _, err := e.FS.Rename(carol, own, "mine", d, "n"); return err },
		"rename over": func() error { _, _, err := e.FS.Rename(carol, own, "mine", d, "f"); return err },
	}
	for what, f := range try {
		e.want(f(), vfs.EACCES, what)
	}
	if after := e.attr(d); after != before {
		e.Fatalf("refused operations changed the directory from %+v to %+v", before, after)
	}
	// What exists may be opened by CREATE without permission to write the directory.
	got, _, err := e.FS.Create(carol, d, "f", vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
	e.ok(err, "unchecked create of an existing name")
	if got.ID != f {
		e.Fatal("unchecked create gave another inode")
	}
}

func stickyDirectory(e *env) {
	d := e.mkdir(alice, e.top, "tmp", 0o1777)
	own := e.mkdir(carol, e.top, "carol", 0o755)
	e.create(bob, d, "bobs", 0o666)
	e.create(carol, d, "carols", 0o666)
	e.mkdir(bob, d, "sub", 0o777)

	_, err := e.FS.Remove(carol, d, "bobs")
	e.want(err, vfs.EPERM, "removal of another's file")
	_, err = e.FS.Rmdir(carol, d, "sub")
	e.want(err, vfs.EPERM, "removal of another's directory")
	_, _, err = e.FS.Rename(carol, d, "bobs", d, "b")
	e.want(err, vfs.EPERM, "rename of another's file")
	_, _, err = e.FS.Rename(carol, d, "bobs", own, "b")
	e.want(err, vfs.EPERM, "rename of another's file out")
	_, _, err = e.FS.Rename(carol, d, "carols", d, "bobs")
	e.want(err, vfs.EPERM, "rename over another's file")

	_, _, err = e.FS.Rename(carol, d, "carols", d, "c")
	e.ok(err, "rename of the own file")
	_, err = e.FS.Remove(carol, d, "c")
	e.ok(err, "removal of the own file")
	_, err = e.FS.Remove(alice, d, "bobs")
	e.ok(err, "removal by the directory's owner")
	_, err = e.FS.Rmdir(super, d, "sub")
	e.ok(err, "removal by the superuser")
}
