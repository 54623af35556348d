package vfstest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/vfs"
)

var readdirTests = []behaviour{
	{"AListingBeginsWithTheDots", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		e.create(super, d, "f", 0o644)
		var got []vfs.DirEntry
		listed, attr, err := e.FS.ReadDir(super, d, vfs.Position{}, true,
			func(d vfs.DirEntry) bool { got = append(got, d); return true })
		e.ok(err, "readdir")
		if !listed.EOF || attr != e.attr(d) || len(got) != 3 {
			e.Fatalf("%d entries, %+v, %+v", len(got), listed, attr)
		}
		for i, want := range []struct {
			name string
			id   vfs.ID
		}{{".", d}, {"..", e.top}, {"f", e.lookup(d, "f")}} {
			g := got[i]
			if g.Name != want.name || g.ID != want.id || g.Attr == nil || *g.Attr != e.attr(want.id) || g.Type != g.Attr.Type {
				e.Fatalf("entry %d is %+v, want %q %+v", i, g, want.name, want.id)
			}
		}
		if got[0].Cookie != 1 || got[1].Cookie != 2 || got[2].Cookie <= 2 {
			e.Fatalf("the cookies are %d, %d, %d", got[0].Cookie, got[1].Cookie, got[2].Cookie)
		}
	}},
	{"AListingStopsAndGoesOnWhereItsReaderSays", func(e *env) {
		for i := range 5 {
			e.create(super, e.top, fmt.Sprint("f", i), 0o644)
		}
		var all []vfs.DirEntry
		_, _, err := e.FS.ReadDir(super, e.top, vfs.Position{}, false,
			func(d vfs.DirEntry) bool { all = append(all, d); return true })
		e.ok(err, "readdir")
		var again []vfs.DirEntry
		cookie := uint64(0)
		for done := false; !done; {
			n := 0
			listed, _, err := e.FS.ReadDir(super, e.top, vfs.Position{Cookie: cookie}, false, func(d vfs.DirEntry) bool {
				if n++; n > 1 {
					return false
				}
				again, cookie = append(again, d), d.Cookie
				return true
			})
			e.ok(err, "readdir")
			done = listed.EOF
		}
		if !slices.Equal(all, again) || len(all) != 7 {
			e.Fatalf("one by one: %+v, at once: %+v", again, all)
		}
	}},
	{"TenThousandEntriesAreListedOnceEach", tenThousand},
	{"WhatStandsIsNeitherSkippedNorRepeated", changesWhileListing},
	{"WhatStandsIsListedWhileOthersChangeTheDirectory", listingBesideWriters},
	{"ADirectoryIsEmptiedPageByPage", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o755)
		for i := range 300 {
			e.create(super, d, fmt.Sprint("f", i), 0o644)
		}
		cookie := uint64(0)
		for eof := false; !eof; {
			var page []vfs.DirEntry
			if page, eof = e.list(d, cookie, 7); len(page) > 0 {
				cookie = page[len(page)-1].Cookie
			}
			for _, f := range page {
				e.remove(d, f.Name)
			}
		}
		e.rmdir(e.top, "d")
	}},
	{"ACookieThatWasNeverGivenIsBad", func(e *env) {
		e.create(super, e.top, "f", 0o644)
		entries, _ := e.list(e.top, 0, 0)
		last := entries[0].Cookie
		for _, cookie := range []uint64{last + 1, last + 1000, 1 << 63, 1<<64 - 1} {
			_, _, err := e.FS.ReadDir(super, e.top, vfs.Position{Cookie: cookie}, false, func(vfs.DirEntry) bool { return true })
			e.want(err, vfs.EBADCOOKIE, fmt.Sprint("readdir from ", cookie))
		}
		// One that was given stays good, also when its entry is removed.
		e.remove(e.top, "f")
		if rest, eof := e.list(e.top, last, 0); len(rest) != 0 || !eof {
			e.Fatalf("after the removed entry come %+v", rest)
		}
		g := e.create(super, e.top, "g", 0o644)
		if rest, _ := e.list(e.top, last, 0); len(rest) != 1 || rest[0].ID.Inode != g.Inode {
			e.Fatalf("after the removed entry come %+v", rest)
		}
	}},
	{"CookiesOutliveARestart", func(e *env) {
		for i := range 20 {
			e.create(super, e.top, fmt.Sprint("f", i), 0o644)
		}
		e.remove(e.top, "f19")
		before, _ := e.list(e.top, 0, 0)
		e.restart()
		rest, eof := e.list(e.top, before[9].Cookie, 0)
		if !eof || !sameNames(rest, before[10:]) {
			e.Fatalf("after the restart: %+v, want %+v", rest, before[10:])
		}
		e.create(super, e.top, "new", 0o644)
		if all, _ := e.list(e.top, 0, 0); !sameNames(all[:len(before)], before) || all[len(before)].Name != "new" {
			e.Fatalf("a new entry after the restart: %+v", all)
		}
	}},
	{"WithoutSearchPermissionNamesComeWithoutAttributes", func(e *env) {
		d := e.mkdir(super, e.top, "d", 0o744)
		secret := e.create(super, d, "secret", 0o644)
		for who, want := range map[*vfs.Request]bool{super: true, carol: false} {
			n := 0
			_, _, err := e.FS.ReadDir(who, d, vfs.Position{}, true, func(entry vfs.DirEntry) bool {
				n++
				if (entry.Attr != nil) != want || entry.Name == "secret" &&
					(entry.ID.Inode != secret.Inode || entry.ID.Generation != 0 && !want) {
					e.Errorf("user %d is told %+v of %q; attributes and identity: want %v", who.Cred.UID, entry.Attr, entry.Name, want)
				}
				return true
			})
			e.ok(err, "readdir")
			if n != 3 {
				e.Errorf("user %d is told %d names, want 3", who.Cred.UID, n)
			}
		}
	}},
	{"EntriesCarryTheAttributesOfTheirFiles", func(e *env) {
		for i := range 200 {
			f := e.create(super, e.top, fmt.Sprint("f", i), 0o600|uint32(i%8))
			e.write(f, 0, fmt.Sprint(i), vfs.Unstable)
		}
		if e.Restart != nil { // none of them in memory
			e.restart()
		}
		n := 0
		_, _, err := e.FS.ReadDir(super, e.top, vfs.Position{Cookie: 2}, true, func(d vfs.DirEntry) bool {
			// What was set is compared, too: attributes that were taken for
			// another file's would be the same everywhere.
			i := strings.TrimPrefix(d.Name, "f")
			if d.Name != fmt.Sprint("f", n) || d.Attr == nil || d.Attr.Size != uint64(len(i)) ||
				d.Attr.Mode != 0o600|uint32(n%8) {
				e.Fatalf("%q at place %d carries %+v", d.Name, n, d.Attr)
			}
			if *d.Attr != e.attr(d.ID) || d.ID != e.lookup(e.top, d.Name) {
				e.Fatalf("%q carries %+v", d.Name, d.Attr)
			}
			n++
			return true
		})
		e.ok(err, "readdir")
		if n != 200 {
			e.Fatalf("%d entries", n)
		}
	}},
}

func sameNames(a, b []vfs.DirEntry) bool {
	return slices.EqualFunc(a, b, func(x, y vfs.DirEntry) bool {
		return x.Name == y.Name && x.Cookie == y.Cookie && x.ID.Inode == y.ID.Inode
	})
}

func tenThousand(e *env) {
	const n, makers = 10_000, 32
	d := e.mkdir(super, e.top, "d", 0o755)
	var wg sync.WaitGroup
	for w := range makers {
		wg.Go(func() {
			for i := w; i < n; i += makers {
				if _, _, err := e.FS.Create(super, d, fmt.Sprintf("entry-%05d", i), vfs.CreateGuarded, mode(0o644),
					vfs.Verifier{}); err != nil {
					e.Errorf("create: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	cookie := uint64(0)
	for eof := false; !eof; {
		var page []vfs.DirEntry
		page, eof = e.list(d, cookie, 333)
		for _, entry := range page {
			if seen[entry.Name] || entry.Cookie <= cookie {
				e.Fatalf("%q is repeated, or its cookie %d does not grow", entry.Name, entry.Cookie)
			}
			seen[entry.Name], cookie = true, entry.Cookie
		}
		if len(page) == 0 && !eof {
			e.Fatal("an empty page that is not the last")
		}
	}
	if len(seen) != n {
		e.Fatalf("%d entries, want %d", len(seen), n)
	}
}

func changesWhileListing(e *env) {
	const n = 400
	for i := range n {
		e.create(super, e.top, fmt.Sprint("stands", i), 0o644)
		e.create(super, e.top, fmt.Sprint("goes", i), 0o644)
	}
	seen := map[string]int{}
	cookie, round := uint64(0), 0
	for eof := false; !eof; round++ {
		var page []vfs.DirEntry
		page, eof = e.list(e.top, cookie, 10)
		for _, d := range page {
			seen[d.Name]++
			cookie = d.Cookie
		}
		if round < n {
			// Before and behind the reader.
			e.remove(e.top, fmt.Sprint("goes", round))
			e.create(super, e.top, fmt.Sprint("comes", round), 0o644)
			e.rename(e.top, fmt.Sprint("comes", round), e.top, fmt.Sprint("came", round))
		}
	}
	for i := range n {
		if c := seen[fmt.Sprint("stands", i)]; c != 1 {
			e.Errorf("entry %d is listed %d times", i, c)
		}
	}
	for name, c := range seen {
		if c != 1 {
			e.Errorf("%q is listed %d times", name, c)
		}
	}
}

func listingBesideWriters(e *env) {
	const stands = 200
	for i := range stands {
		e.create(super, e.top, fmt.Sprint("stands", i), 0o644)
		e.create(super, e.top, fmt.Sprint("gap", i), 0o644)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var changes atomic.Int64
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				changes.Add(1)
				name := fmt.Sprint("w", w, "-", i%5)
				_, _, err := e.FS.Create(super, e.top, name, vfs.CreateUnchecked, mode(0o644), vfs.Verifier{})
				if err == nil && i < stands/4 {
					_, err = e.FS.Remove(super, e.top, fmt.Sprint("gap", i*4+w))
				}
				if err == nil {
					_, err = e.FS.Remove(super, e.top, name)
				}
				if err != nil {
					e.Errorf("change of the directory: %v", err)
					return
				}
			}
		})
	}
	// Without changes meanwhile nothing is proved: it goes on until there were some.
	const rounds, least = 20, 100
	deadline := time.Now().Add(30 * time.Second)
	for round := 0; round < rounds || changes.Load() < least; round++ {
		if time.Now().After(deadline) {
			e.Errorf("only %d changes were made beside %d listings", changes.Load(), round)
			break
		}
		seen := map[string]int{}
		last := uint64(2)
		_, _, err := e.FS.ReadDir(super, e.top, vfs.Position{Cookie: 2}, true, func(d vfs.DirEntry) bool {
			seen[d.Name]++
			if d.Cookie <= last {
				e.Errorf("cookie %d comes after %d", d.Cookie, last)
			}
			last = d.Cookie
			return true
		})
		if err != nil {
			e.Errorf("readdir: %v", err)
		}
		for i := range stands {
			if c := seen[fmt.Sprint("stands", i)]; c != 1 {
				e.Errorf("entry %d is listed %d times", i, c)
			}
		}
	}
	close(stop)
	wg.Wait()
}
