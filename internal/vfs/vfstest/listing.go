package vfstest

import (
	"fmt"
	"math/rand/v2"

	"github.com/dittofs/dittofs/internal/vfs"
)

// listingTests are about directories that change while they are listed.
var listingTests = []behaviour{
	{"AReaderThatRenamesWhatItMeetsComesToAnEnd", func(e *env) {
		listingEnds(e, func(dir vfs.ID, name string) { e.rename(dir, name, dir, name+".x") })
	}},
	{"AReaderThatCopiesWhatItMeetsComesToAnEnd", func(e *env) {
		listingEnds(e, func(dir vfs.ID, name string) { e.create(super, dir, name+".bak", 0o644) })
	}},
	{"AReaderThatReplacesWhatItMeetsComesToAnEnd", func(e *env) {
		listingEnds(e, func(dir vfs.ID, name string) {
			e.create(super, dir, "new", 0o644)
			e.rename(dir, "new", dir, name)
		})
	}},
	{"AReaderThatMakesWhatItMeetsAgainComesToAnEnd", func(e *env) {
		listingEnds(e, func(dir vfs.ID, name string) {
			e.remove(dir, name)
			e.create(super, dir, name, 0o644)
		})
	}},
	{"AReaderThatMovesWhatItMeetsOutAndBackComesToAnEnd", func(e *env) {
		listingEnds(e, func(dir vfs.ID, name string) {
			e.rename(dir, name, e.top, name)
			e.rename(e.top, name, dir, name)
		})
	}},
	{"AReaderThatLinksWhatItMeetsComesToAnEnd", func(e *env) {
		listingEnds(e, func(dir vfs.ID, name string) { e.link(e.lookup(dir, name), dir, name+".link") })
	}},
	{"AFileThatIsRenamedInItsDirectoryIsMetOnce", func(e *env) {
		const n = 300
		names := map[vfs.ID]string{}
		ids := make([]vfs.ID, n)
		for i := range ids {
			name := fmt.Sprint("f", i)
			ids[i] = e.create(super, e.top, name, 0o644)
			names[ids[i]] = name
		}
		met := map[uint64]int{}
		e.walkListing(e.top, 7, func(round int, page []vfs.DirEntry) {
			for _, d := range page {
				met[d.ID.Inode]++
			}
			for range 20 { // before and behind the reader
				id := ids[rand.IntN(n)]
				name := fmt.Sprint("r", round, "-", rand.Uint64())
				e.rename(e.top, names[id], e.top, name)
				names[id] = name
			}
		})
		for i, id := range ids {
			if c := met[id.Inode]; c != 1 {
				e.Errorf("file %d is met %d times", i, c)
			}
		}
	}},
	{"ANameThatGetsAnotherFileIsMetOnce", func(e *env) {
		const n = 300
		elsewhere := e.mkdir(super, e.top, "elsewhere", 0o755)
		d := e.mkdir(super, e.top, "d", 0o755)
		for i := range n {
			e.create(super, d, fmt.Sprint("f", i), 0o644)
		}
		met := map[string]int{}
		e.walkListing(d, 7, func(_ int, page []vfs.DirEntry) {
			for _, entry := range page {
				met[entry.Name]++
			}
			for i := range 20 { // before and behind the reader, from here and from elsewhere
				from := d
				if i%2 == 0 {
					from = elsewhere
				}
				e.create(super, from, "new", 0o644)
				e.rename(from, "new", d, fmt.Sprint("f", rand.IntN(n)))
			}
		})
		for i := range n {
			if c := met[fmt.Sprint("f", i)]; c != 1 {
				e.Errorf("name %d is met %d times", i, c)
			}
		}
	}},
	{"AListingThatForgotItsEndGoesToThatOfNow", func(e *env) {
		for i := range 20 {
			e.create(super, e.top, fmt.Sprint("f", i), 0o644)
		}
		page, began := e.listFrom(e.top, vfs.Position{}, 10)
		e.create(super, e.top, "new", 0o644)
		last := page[len(page)-1].Cookie
		for end, want := range map[uint64]int{began.End: 10, 0: 11, 1 << 63: 11, 3: 0} {
			rest, listed := e.listFrom(e.top, vfs.Position{Cookie: last, End: end}, 0)
			if len(rest) != want || !listed.EOF {
				e.Errorf("a listing up to %d goes on with %d entries (%+v), want %d", end, len(rest), listed, want)
			}
			if end == 0 && listed.End != began.End+1 {
				e.Errorf("a listing that forgot its end is told %d, want %d", listed.End, began.End+1)
			}
		}
		// A new listing has a new end, whatever its reader remembers.
		if all, _ := e.listFrom(e.top, vfs.Position{End: began.End}, 0); len(all) != 21 {
			e.Errorf("a new listing has %d entries, want 21", len(all))
		}
	}},
	{"AListingKeepsItsEndOverARestart", func(e *env) {
		for i := range 20 {
			e.create(super, e.top, fmt.Sprint("f", i), 0o644)
		}
		page, began := e.listFrom(e.top, vfs.Position{}, 10)
		e.create(super, e.top, "new", 0o644)
		e.restart()
		e.rename(e.top, "f15", e.top, "f15.x")
		rest, listed := e.listFrom(e.top, vfs.Position{Cookie: page[len(page)-1].Cookie, End: began.End}, 0)
		if len(rest) != 10 || rest[5].Name != "f15.x" || !listed.EOF || listed.End != began.End {
			e.Errorf("after the restart: %+v, %+v", rest, listed)
		}
	}},
}

// listingEnds changes each entry of a directory once a reader has met it, as
// "for f in *" does, and checks that the reader meets all of them once, and
// nothing else.
func listingEnds(e *env, change func(dir vfs.ID, name string)) {
	const n = 300
	dir := e.mkdir(super, e.top, "d", 0o755)
	for i := range n {
		e.create(super, dir, fmt.Sprint("f", i), 0o644)
	}
	met := map[string]int{}
	e.walkListing(dir, 7, func(_ int, page []vfs.DirEntry) {
		for _, d := range page {
			met[d.Name]++
			change(dir, d.Name)
		}
	})
	for i := range n {
		if c := met[fmt.Sprint("f", i)]; c != 1 {
			e.Errorf("entry %d is met %d times", i, c)
		}
	}
	if len(met) != n {
		e.Errorf("%d names are met, want %d", len(met), n)
	}
}

// walkListing lists a directory in pages. It gives up when a listing of at most
// 10,000 entries has not ended.
func (e *env) walkListing(dir vfs.ID, most int, meet func(round int, page []vfs.DirEntry)) {
	e.Helper()
	var at vfs.Position
	for round := range 10_000/most + 1 {
		page, listed := e.listFrom(dir, at, most)
		meet(round, page)
		if listed.EOF {
			return
		}
		at = vfs.Position{Cookie: page[len(page)-1].Cookie, End: listed.End}
	}
	e.Fatalf("the listing does not end: it is at cookie %d", at.Cookie)
}
