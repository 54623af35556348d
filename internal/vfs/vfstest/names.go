package vfstest

import (
	"fmt"
	"strings"

	"github.com/dittofs/dittofs/internal/vfs"
)

var nameTests = []behaviour{
	{"NamesOf255BytesWorkEverywhere", func(e *env) {
		for i, call := range makers(e) {
			name := strings.Repeat(string(rune('a'+i)), vfs.MaxName)
			e.ok(call.make(name), call.name)
			id := e.lookup(e.top, name)
			longer := "z" + name[1:]
			e.rename(e.top, name, e.top, longer)
			if e.lookup(e.top, longer) != id {
				e.Fatal("the renamed file is another")
			}
			if e.attr(id).Type == vfs.TypeDirectory {
				e.rmdir(e.top, longer)
			} else {
				e.remove(e.top, longer)
			}
		}
	}},
	{"LongerNamesAreTooLong", func(e *env) {
		refused(e, strings.Repeat("x", vfs.MaxName+1), vfs.ENAMETOOLONG)
	}},
	{"NamesWithSlashOrNULAndEmptyNamesAreInvalid", func(e *env) {
		for _, name := range []string{"", "/", "a/b", "/a", "a/", "\x00", "a\x00", "a\x00b"} {
			refused(e, name, vfs.EINVAL)
		}
	}},
	{"DotAndDotDotExistAndCannotBeTakenAway", dots},
	{"NamesAreBytes", func(e *env) {
		names := []string{
			"a", "A", "ä", "a\u0308", "\xff\xfe", " ", ".a", "...", "a.", "-", "*", "\n", "\\", "日本語", "\x01\x7f",
		}
		ids := map[string]vfs.ID{}
		for _, name := range names {
			ids[name] = e.create(super, e.top, name, 0o600)
		}
		for name, id := range ids {
			if e.lookup(e.top, name) != id {
				e.Fatalf("%q is another file", name)
			}
		}
		entries, _ := e.list(e.top, 0, 0)
		if len(entries) != len(names) {
			e.Fatalf("%d entries, want %d", len(entries), len(names))
		}
		for i, d := range entries {
			if d.Name != names[i] || d.ID.Inode != ids[d.Name].Inode {
				e.Fatalf("entry %d is %+v, want %q", i, d, names[i])
			}
		}
	}},
	{"AnAbsentNameIsAbsentUntilItIsMadeAndAgainWhenRemoved", func(e *env) {
		for range 3 {
			e.absent(e.top, "f")
			_, err := e.FS.Remove(super, e.top, "f")
			e.want(err, vfs.ENOENT, "remove")
			_, err = e.FS.Rmdir(super, e.top, "f")
			e.want(err, vfs.ENOENT, "rmdir")
			_, _, err = e.FS.Rename(super, e.top, "f", e.top, "g")
			e.want(err, vfs.ENOENT, "rename")
			e.create(super, e.top, "f", 0o600)
			e.lookup(e.top, "f")
			e.remove(e.top, "f")
		}
	}},
}

type maker struct {
	name string
	make func(name string) error
}

// makers are the calls that make a name in the top directory.
func makers(e *env) []maker {
	source, _, err := e.FS.Create(super, e.top, "source", vfs.CreateUnchecked, mode(0o600), vfs.Verifier{})
	e.ok(err, "create")
	return []maker{
		{"create", func(name string) error {
			_, _, err := e.FS.Create(super, e.top, name, vfs.CreateUnchecked, mode(0o600), vfs.Verifier{})
			return err
		}},
		{"create guarded", func(name string) error {
			_, _, err := e.FS.Create(super, e.top, name, vfs.CreateGuarded, mode(0o600), vfs.Verifier{})
			return err
		}},
		{"create exclusive", func(name string) error {
			_, _, err := e.FS.Create(super, e.top, name, vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{1})
			return err
		}},
		{"mkdir", func(name string) error { _, _, err := e.FS.Mkdir(super, e.top, name, mode(0o700)); return err }},
		{"symlink", func(name string) error {
			_, _, err := e.FS.Symlink(super, e.top, name, "target", vfs.SetAttr{})
			return err
		}},
		{"mknod", func(name string) error {
			_, _, err := e.FS.Mknod(super, e.top, name, vfs.TypeFIFO, vfs.Device{}, mode(0o600))
			return err
		}},
		{"link", func(name string) error { _, _, err := e.FS.Link(super, source.ID, e.top, name); return err }},
	}
}

// refused checks that no operation takes the name.
func refused(e *env, name string, want vfs.Errno) {
	e.Helper()
	calls := append(makers(e),
		maker{"rename to", func(name string) error {
			_, _, err := e.FS.Rename(super, e.top, "source", e.top, name)
			return err
		}},
		maker{"rename from", func(name string) error {
			_, _, err := e.FS.Rename(super, e.top, name, e.top, "new")
			return err
		}},
		maker{"remove", func(name string) error { _, err := e.FS.Remove(super, e.top, name); return err }},
		maker{"rmdir", func(name string) error { _, err := e.FS.Rmdir(super, e.top, name); return err }},
		maker{"lookup", func(name string) error { _, _, err := e.FS.Lookup(super, e.top, name); return err }},
	)
	before := e.attr(e.top)
	for _, call := range calls {
		e.want(call.make(name), want, fmt.Sprintf("%s of %q", call.name, name))
	}
	if after := e.attr(e.top); after != before {
		e.Fatalf("refused names changed the directory from %+v to %+v", before, after)
	}
	e.remove(e.top, "source")
}

func dots(e *env) {
	d := e.mkdir(super, e.top, "d", 0o755)
	e.create(super, d, "f", 0o600)
	for _, name := range []string{".", ".."} {
		for _, call := range makers(e) {
			e.want(call.make(name), vfs.EEXIST, call.name+" of "+name)
		}
		for what, err := range map[string]error{
			"remove":       second(e.FS.Remove(super, d, name)),
			"rmdir":        second(e.FS.Rmdir(super, d, name)),
			"rename from":  third(e.FS.Rename(super, d, name, e.top, "new")),
			"rename to":    third(e.FS.Rename(super, d, "f", d, name)),
			"rename to up": third(e.FS.Rename(super, e.top, "d", d, name)),
		} {
			// POSIX and the RFC differ in which of these it is.
			switch err {
			case vfs.EINVAL, vfs.EEXIST, vfs.ENOTEMPTY, vfs.EISDIR:
			default:
				e.Errorf("%s of %q gives %v", what, name, err)
			}
		}
	}
	if e.lookup(d, "..") != e.top || e.lookup(e.top, "d") != d {
		e.Fatal("the directory moved")
	}
}

func second[A any](_ A, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }
