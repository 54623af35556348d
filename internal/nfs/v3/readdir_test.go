package v3_test

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// fill makes n files with names of different lengths.
func (e *env) fill(n int) (names map[string]bool) {
	e.Helper()
	names = map[string]bool{".": true, "..": true}
	for i := range n {
		name := fmt.Sprintf("%0*d", 3+i%40, i)
		e.create(e.root, name)
		names[name] = true
	}
	return names
}

func TestListingIsCompleteWhateverTheLimits(t *testing.T) {
	onAllStores(t, func(e *env) {
		names := e.fill(300)
		for _, limits := range []struct{ dir, max uint32 }{
			{1 << 20, 1 << 20}, {64 << 10, 64 << 10}, {4096, 4096}, {512, 4096}, {4096, 700}, {1, 4096}, {0, 1 << 31}, {1<<32 - 1, 1<<32 - 1},
		} {
			e.checkListing(names, fmt.Sprintf("READDIR within %d", limits.max),
				func(cookie, verf uint64) (nfsclient.Listing, error) {
					l, err := e.c.ReadDir(e.root, cookie, verf, limits.max)
					if l.Size > int(limits.max) {
						e.Errorf("READDIR within %d: %d bytes", limits.max, l.Size)
					}
					return l, err
				})
			e.checkListing(names, fmt.Sprintf("READDIRPLUS within %d and %d", limits.dir, limits.max),
				func(cookie, verf uint64) (nfsclient.Listing, error) {
					l, err := e.c.ReadDirPlus(e.root, cookie, verf, limits.dir, limits.max)
					if l.Size > int(limits.max) {
						e.Errorf("READDIRPLUS within %d: %d bytes", limits.max, l.Size)
					}
					dirBytes := 0
					for _, x := range l.Entries {
						dirBytes += 4 + 8 + 4 + (len(x.Name)+3)&^3 + 8
						e.checkPlus(x)
					}
					if dirBytes > int(limits.dir) && len(l.Entries) > 1 {
						e.Errorf("READDIRPLUS: %d bytes of names, limit %d", dirBytes, limits.dir)
					}
					return l, err
				})
		}
	})
}

func (e *env) checkListing(
	names map[string]bool, what string, list func(cookie, verf uint64) (nfsclient.Listing, error),
) {
	e.Helper()
	seen := map[string]bool{}
	var cookie, verf uint64
	for calls := 0; ; calls++ {
		l, err := list(cookie, verf)
		e.want(err, 0, what)
		if l.Dir == nil || l.Dir.Type != nfsclient.TypeDir {
			e.Fatalf("%s: no directory attributes", what)
		}
		for _, x := range l.Entries {
			if seen[x.Name] || x.Cookie <= cookie || x.FileID == 0 {
				e.Fatalf("%s: %q again, or its cookie %d is not above %d, or it has no file id", what, x.Name, x.Cookie, cookie)
			}
			seen[x.Name], cookie = true, x.Cookie
		}
		verf = l.Verifier
		if l.EOF {
			break
		}
		if len(l.Entries) == 0 || calls > 2*len(names) {
			e.Fatalf("%s: no progress at cookie %d", what, cookie)
		}
	}
	if !maps.Equal(seen, names) {
		e.Errorf("%s: %d names, want %d, or they are others", what, len(seen), len(names))
	}
}

func (e *env) checkPlus(x nfsclient.Entry) {
	e.Helper()
	if x.Attr == nil || x.Handle == nil || x.Name != ".." && x.Attr.FileID != x.FileID {
		e.Fatalf("READDIRPLUS: entry %+v", x)
	}
	if x.FileID%16 == 0 { // some of them: the handle is that of the entry
		if a, err := e.c.GetAttr(x.Handle); err != nil || a.FileID != x.Attr.FileID {
			e.Fatalf("GETATTR of the handle of %q: %v", x.Name, err)
		}
	}
}

func TestListingGoesOnWhileTheDirectoryChanges(t *testing.T) {
	onAllStores(t, func(e *env) {
		names := e.fill(200)
		n := 0
		e.checkListing(names, "READDIR of a changing directory", func(cookie, verf uint64) (nfsclient.Listing, error) {
			// One comes and goes between any two calls: the directory's mtime moves.
			n++
			name := fmt.Sprint("tmp", n)
			e.create(e.root, name)
			_, err := e.c.Remove(e.root, name)
			e.want(err, 0, "REMOVE")
			return e.c.ReadDir(e.root, cookie, verf, 700)
		})
	})
}

func TestListingEndsThoughItsReaderRenamesAndCopiesWhatItMeets(t *testing.T) {
	onAllStores(t, func(e *env) {
		const n = 300
		list := map[string]func(dir nfsclient.Handle, cookie, verf uint64) (nfsclient.Listing, error){
			"READDIR": func(d nfsclient.Handle, c, v uint64) (nfsclient.Listing, error) { return e.c.ReadDir(d, c, v, 700) },
			"READDIRPLUS": func(d nfsclient.Handle, c, v uint64) (nfsclient.Listing, error) {
				return e.c.ReadDirPlus(d, c, v, 700, 2000)
			},
		}
		for what, list := range list {
			dir := e.mkdir(e.root, what)
			for i := range n {
				e.create(dir, fmt.Sprint("f", i))
			}
			met := 0
			var cookie, verf uint64
			for eof := false; !eof && met <= 2*n; {
				l, err := list(dir, cookie, verf)
				e.want(err, 0, what)
				if verf != 0 && l.Verifier != verf {
					e.Fatalf("%s: the verifier became %d, was %d", what, l.Verifier, verf)
				}
				for _, x := range l.Entries {
					cookie = x.Cookie
					if x.Name == "." || x.Name == ".." {
						continue
					}
					met++
					_, _, err := e.c.Rename(dir, x.Name, dir, x.Name+".x")
					e.want(err, 0, "RENAME")
					e.create(dir, x.Name)
				}
				eof, verf = l.EOF, l.Verifier
			}
			if met != n {
				e.Errorf("%s met %d entries, want %d", what, met, n)
			}
		}
	})
}

func TestListingGoesOnWithoutAVerifier(t *testing.T) {
	onAllStores(t, func(e *env) {
		names := e.fill(100)
		e.checkListing(names, "READDIR without a verifier", func(cookie, _ uint64) (nfsclient.Listing, error) {
			return e.c.ReadDir(e.root, cookie, 0, 700)
		})
	})
}

func TestListingThatCannotHoldOneEntryIsTooSmall(t *testing.T) {
	onAllStores(t, func(e *env) {
		e.create(e.root, "a")
		const frame, dot = 88 + 8 + 4 + 4, 4 + 8 + 8 + 8
		for _, count := range []uint32{0, 1, frame, frame + dot - 1} {
			l, err := e.c.ReadDir(e.root, 0, 0, count)
			e.want(err, nfsclient.ErrTooSmall, fmt.Sprintf("READDIR within %d", count))
			if l.Dir == nil {
				e.Error("TOOSMALL without directory attributes")
			}
			_, err = e.c.ReadDirPlus(e.root, 0, 0, 4096, count)
			e.want(err, nfsclient.ErrTooSmall, fmt.Sprintf("READDIRPLUS within %d", count))
		}
		l, err := e.c.ReadDir(e.root, 0, 0, frame+dot)
		e.want(err, 0, "READDIR within just enough")
		if len(l.Entries) != 1 || l.EOF || l.Size != frame+dot {
			e.Errorf("READDIR within just enough: %+v", l)
		}
	})
}

func TestListingOfWhatCannotBeListed(t *testing.T) {
	onAllStores(t, func(e *env) {
		f := e.create(e.root, "f")
		_, err := e.c.ReadDir(f, 0, 0, 4096)
		e.want(err, nfsclient.ErrNotDir, "READDIR of a file")
		_, err = e.c.ReadDir(e.root, 1<<40, 0, 4096)
		e.want(err, nfsclient.ErrBadCookie, "READDIR after a cookie that was never given")
		d := e.mkdir(e.root, "d")
		_, err = e.c.Rmdir(e.root, "d")
		e.want(err, 0, "RMDIR")
		_, err = e.c.ReadDirPlus(d, 0, 0, 4096, 4096)
		e.want(err, nfsclient.ErrStale, "READDIRPLUS of what was removed")
		l, err := e.c.ReadDirPlus(e.root, 0, 0, 4096, 4096)
		e.want(err, 0, "READDIRPLUS")
		if len(l.Entries) != 3 || !bytes.Equal(l.Entries[0].Handle, e.root) || !bytes.Equal(l.Entries[1].Handle, e.root) ||
			!bytes.Equal(l.Entries[2].Handle, f) {
			e.Errorf("READDIRPLUS: %+v", l.Entries)
		}
	})
}

func TestListingGivesNoHandleOfWhatCannotBeLookedUp(t *testing.T) {
	onAllStores(t, func(e *env) {
		n, err := e.c.Mkdir(e.root, "d", nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0744)})
		e.want(err, 0, "MKDIR")
		_, err = e.c.Create(n.Handle, "f", nfsclient.Guarded, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0644)}, nil)
		e.want(err, 0, "CREATE")
		other := e.srv.Dial(nfsclient.Options{UID: 1000, GID: 1000})
		_, err = other.Lookup(n.Handle, "f")
		e.want(err, nfsclient.ErrAcces, "LOOKUP without search permission")
		l, err := other.ReadDirPlus(n.Handle, 0, 0, 4096, 4096)
		e.want(err, 0, "READDIRPLUS without search permission")
		for _, x := range l.Entries {
			if x.Attr != nil || x.Handle != nil || x.FileID == 0 {
				e.Errorf("READDIRPLUS without search permission: %+v", x)
			}
		}
		if len(l.Entries) != 3 || !l.EOF {
			e.Errorf("READDIRPLUS without search permission: %d entries, eof %v", len(l.Entries), l.EOF)
		}
	})
}
