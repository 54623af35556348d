package vfstest

import (
	"fmt"

	"github.com/dittofs/dittofs/internal/vfs"
)

var wccTests = []behaviour{
	{"AttributesBeforeAndAfterAreThoseOfTheMoment", wccSuccess},
	{"RefusedOperationsShowUnchangedAttributes", wccFailure},
	{"AttributesFormAChainUnderConcurrency", wccChain},
}

// change is one operation on one inode, with the WCC that it gave.
type change struct {
	what string
	of   vfs.ID
	do   func() (vfs.WCC, error)
}

func dirWCC(_ vfs.Attr, w vfs.WCC, err error) (vfs.WCC, error) { return w, err }

func wccSuccess(e *env) {
	d := e.mkdir(super, e.top, "d", 0o755)
	f := e.create(super, d, "f", 0o644)
	steps := []change{
		{"write", f, func() (vfs.WCC, error) { return fileWCC(e.FS.Write(super, f, 0, []byte("abc"), vfs.Unstable)) }},
		{"stable write", f, func() (vfs.WCC, error) { return fileWCC(e.FS.Write(super, f, 9, []byte("abc"), vfs.FileSync)) }},
		{"empty write", f, func() (vfs.WCC, error) { return fileWCC(e.FS.Write(super, f, 0, nil, vfs.FileSync)) }},
		{"commit", f, func() (vfs.WCC, error) { return e.FS.Commit(super, f, 0, 0) }},
		{"chmod", f, func() (vfs.WCC, error) { return e.FS.SetAttr(super, f, mode(0o600), nil) }},
		{"truncate", f, func() (vfs.WCC, error) {
			return e.FS.SetAttr(super, f, vfs.SetAttr{Size: ptr(uint64(5))}, nil)
		}},
		{"setattr of nothing", f, func() (vfs.WCC, error) { return e.FS.SetAttr(super, f, vfs.SetAttr{}, nil) }},
		{"create", d, func() (vfs.WCC, error) {
			return dirWCC(e.FS.Create(super, d, "c", vfs.CreateGuarded, mode(0o600), vfs.Verifier{}))
		}},
		{"open by create", d, func() (vfs.WCC, error) {
			return dirWCC(e.FS.Create(super, d, "c", vfs.CreateUnchecked, mode(0o600), vfs.Verifier{}))
		}},
		{"mkdir", d, func() (vfs.WCC, error) { return dirWCC(e.FS.Mkdir(super, d, "sub", mode(0o700))) }},
		{"symlink", d, func() (vfs.WCC, error) { return dirWCC(e.FS.Symlink(super, d, "s", "t", vfs.SetAttr{})) }},
		{"mknod", d, func() (vfs.WCC, error) {
			return dirWCC(e.FS.Mknod(super, d, "p", vfs.TypeFIFO, vfs.Device{}, mode(0o600)))
		}},
		{"link", d, func() (vfs.WCC, error) { return dirWCC(e.FS.Link(super, f, d, "f2")) }},
		{"remove", d, func() (vfs.WCC, error) { return e.FS.Remove(super, d, "p") }},
		{"rmdir", d, func() (vfs.WCC, error) { return e.FS.Rmdir(super, d, "sub") }},
		{"rename", d, func() (vfs.WCC, error) {
			from, to, err := e.FS.Rename(super, d, "s", d, "s2")
			if from != to {
				e.Errorf("a rename within a directory gives %+v and %+v", from, to)
			}
			return from, err
		}},
		{"rename over", d, func() (vfs.WCC, error) {
			_, to, err := e.FS.Rename(super, d, "s2", d, "f2")
			return to, err
		}},
	}
	for _, s := range steps {
		before := e.attr(s.of)
		wcc, err := s.do()
		e.ok(err, s.what)
		if now := e.attr(s.of); !wcc.Valid || wcc.Before != before || wcc.After != now {
			e.Errorf("%s: got %+v, want before %+v after %+v", s.what, wcc, before, now)
		}
	}
}

func fileWCC(_ vfs.Stability, w vfs.WCC, err error) (vfs.WCC, error) { return w, err }

func wccFailure(e *env) {
	d := e.mkdir(alice, e.top, "d", 0o755)
	f := e.create(alice, d, "f", 0o600)
	e.mkdir(alice, d, "full", 0o755)
	e.create(alice, e.lookup(d, "full"), "inside", 0o600)
	rename := func(req *vfs.Request, from, to string) func() (vfs.WCC, error) {
		return func() (vfs.WCC, error) {
			w, to, err := e.FS.Rename(req, d, from, d, to)
			if w != to {
				e.Errorf("a refused rename within a directory gives %+v and %+v", w, to)
			}
			return w, err
		}
	}
	steps := []change{
		{"write without permission", f, func() (vfs.WCC, error) {
			return fileWCC(e.FS.Write(carol, f, 0, []byte("x"), vfs.FileSync))
		}},
		{"write too far", f, func() (vfs.WCC, error) {
			return fileWCC(e.FS.Write(alice, f, 1<<63, []byte("x"), vfs.FileSync))
		}},
		{"chmod without permission", f, func() (vfs.WCC, error) { return e.FS.SetAttr(carol, f, mode(0), nil) }},
		{"write of a directory", d, func() (vfs.WCC, error) {
			return fileWCC(e.FS.Write(alice, d, 0, []byte("x"), vfs.FileSync))
		}},
		{"create of what exists", d, func() (vfs.WCC, error) {
			return dirWCC(e.FS.Create(alice, d, "f", vfs.CreateGuarded, mode(0o600), vfs.Verifier{}))
		}},
		{"create without permission", d, func() (vfs.WCC, error) {
			return dirWCC(e.FS.Create(carol, d, "n", vfs.CreateGuarded, mode(0o600), vfs.Verifier{}))
		}},
		{"mkdir of what exists", d, func() (vfs.WCC, error) { return dirWCC(e.FS.Mkdir(alice, d, "f", mode(0o700))) }},
		{"mkdir of a name too long", d, func() (vfs.WCC, error) {
			return dirWCC(e.FS.Mkdir(alice, d, fmt.Sprintf("%0300d", 1), mode(0o700)))
		}},
		{"symlink of what exists", d, func() (vfs.WCC, error) {
			return dirWCC(e.FS.Symlink(alice, d, "f", "t", vfs.SetAttr{}))
		}},
		{"link of what exists", d, func() (vfs.WCC, error) { return dirWCC(e.FS.Link(alice, f, d, "full")) }},
		{"remove of what is absent", d, func() (vfs.WCC, error) { return e.FS.Remove(alice, d, "n") }},
		{"remove of a directory", d, func() (vfs.WCC, error) { return e.FS.Remove(alice, d, "full") }},
		{"remove without permission", d, func() (vfs.WCC, error) { return e.FS.Remove(carol, d, "f") }},
		{"rmdir of a file", d, func() (vfs.WCC, error) { return e.FS.Rmdir(alice, d, "f") }},
		{"rmdir of what is not empty", d, func() (vfs.WCC, error) { return e.FS.Rmdir(alice, d, "full") }},
		{"rename of what is absent", d, rename(alice, "n", "m")},
		{"rename over a directory", d, rename(alice, "f", "full")},
		{"rename without permission", d, rename(carol, "f", "g")},
	}
	for _, s := range steps {
		before := e.attr(s.of)
		wcc, err := s.do()
		if err == nil {
			e.Errorf("%s succeeds", s.what)
		}
		if !wcc.Valid || wcc.Before != before || wcc.After != before || e.attr(s.of) != before {
			e.Errorf("%s: got %+v, want %+v before and after", s.what, wcc, before)
		}
	}
}

// wccChain makes changes of one directory from many sides: as the attributes
// are taken under its lock, each After but the last is another's Before.
func wccChain(e *env) {
	const workers, each = 8, 25
	first := e.attr(e.top)
	results := make(chan vfs.WCC, workers*each)
	for w := range workers {
		go func() {
			for i := range each {
				_, wcc, err := e.FS.Create(super, e.top, fmt.Sprint(w, "-", i), vfs.CreateGuarded, mode(0o600), vfs.Verifier{})
				if err != nil {
					e.Errorf("create: %v", err)
				}
				results <- wcc
			}
		}()
	}
	next := map[uint64]vfs.WCC{}
	for range workers * each {
		w := <-results
		next[w.Before.Change] = w
	}
	at := first
	for range workers * each {
		w, ok := next[at.Change]
		if !ok || w.Before != at {
			e.Fatalf("no change begins with %+v", at)
		}
		at = w.After
	}
	if at != e.attr(e.top) {
		e.Fatalf("the chain ends with %+v, the directory is %+v", at, e.attr(e.top))
	}
}
