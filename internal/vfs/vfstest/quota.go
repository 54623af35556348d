package vfstest

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/vfs"
)

var quotaTests = []behaviour{
	{"BytesAreRefusedExactlyAtTheQuota", byteQuota},
	{"InodesAreRefusedExactlyAtTheQuota", inodeQuota},
	{"UsageOutlivesARestart", usageAfterRestart},
	{"OneOfManyWritersGetsTheLastBytes", lastBytes},
	{"MakersTogetherDoNotExceedTheQuota", func(e *env) {
		const quota, workers = 50, 8
		top := e.limited(0, quota)
		var wg sync.WaitGroup
		var made atomic.Int64
		for w := range workers {
			wg.Go(func() {
				for i := range 10 {
					switch _, _, err := e.FS.Create(super, top, fmt.Sprint(w, "-", i), vfs.CreateGuarded, mode(0o600),
						vfs.Verifier{}); err {
					case nil:
						made.Add(1)
					case vfs.EDQUOT:
					default:
						e.Errorf("create: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if made.Load() != quota-1 { // the top directory is one
			e.Errorf("%d files were made under a quota of %d", made.Load(), quota)
		}
	}},
	{"AQuotaIsChangedWhileRunning", func(e *env) {
		top := e.limited(1000, 3)
		f := e.create(super, top, "f", 0o644)
		e.write(f, 0, strings.Repeat("x", 1000), vfs.FileSync)
		e.create(super, top, "g", 0o644)
		e.want(e.grow(f, 1000, 1), vfs.EDQUOT, "write beyond the quota")
		e.limited(2000, 4)
		e.ok(e.grow(f, 1000, 1), "write under the raised quota")
		e.create(super, top, "h", 0o644)
		// Below what is used: nothing new, but what is there can be rewritten.
		e.limited(500, 2)
		e.want(e.grow(f, 1001, 1), vfs.EDQUOT, "write beyond the lowered quota")
		e.ok(e.grow(f, 0, 1001), "rewrite under the lowered quota")
		if st := e.statfs(top); st.FreeBytes != 0 || st.AvailBytes != 0 || st.FreeInodes != 0 || st.TotalBytes != 500 {
			e.Fatalf("statfs says %+v", st)
		}
		e.limited(0, 0)
		e.ok(e.grow(f, 1001, 5000), "write without a quota")
	}},
	{"AFileIsRewrittenAtTheQuotaHoweverItIsWritten", func(e *env) {
		const size, piece = 256 << 10, 4 << 10
		top := e.limited(size, 10)
		f := e.create(super, top, "f", 0o644)
		e.write(f, 0, strings.Repeat("x", size), vfs.FileSync)
		for off := 0; off < size; off += 2 * piece { // in pieces that are not committed, with as many others between them
			e.write(f, uint64(off), strings.Repeat("y", piece), vfs.Unstable)
		}
		e.ok(e.grow(f, 0, size), "rewrite of all of it at the quota")
		e.want(e.grow(f, 1, size), vfs.EDQUOT, "a write of a byte more")
	}},
	{"StatFSTellsWhatIsLeft", func(e *env) {
		top := e.limited(10_000, 10)
		st := e.statfs(top)
		want := vfs.StatFS{
			TotalBytes: 10_000, FreeBytes: 10_000, AvailBytes: 10_000, TotalInodes: 10, FreeInodes: 9, AvailInodes: 9,
		}
		if st != want {
			e.Fatalf("an empty share: %+v, want %+v", st, want)
		}
		f := e.create(super, top, "f", 0o644)
		e.write(f, 5000, strings.Repeat("x", 3000), vfs.Unstable)
		want.FreeBytes, want.AvailBytes, want.FreeInodes, want.AvailInodes = 7000, 7000, 8, 8
		if st = e.statfs(f); st != want {
			e.Fatalf("a file of 3000 bytes: %+v, want %+v", st, want)
		}
	}},
	{"StatFSOfAnEndlessShareIsFarBelowWhatSignedNumbersHold", func(e *env) {
		const bytes, inodes = 1 << 60, 1 << 40
		e.write(e.create(super, e.top, "f", 0o644), 1<<40, strings.Repeat("x", 3000), vfs.FileSync)
		want := vfs.StatFS{TotalBytes: bytes, FreeBytes: bytes - 3000, AvailBytes: bytes - 3000,
			TotalInodes: inodes, FreeInodes: inodes - 2, AvailInodes: inodes - 2}
		if st := e.statfs(e.top); st != want {
			e.Fatalf("%+v, want %+v", st, want)
		}
		top := e.limited(math.MaxInt64, math.MaxInt64)
		want = vfs.StatFS{
			TotalBytes: bytes, FreeBytes: bytes, AvailBytes: bytes, TotalInodes: inodes, FreeInodes: inodes - 1,
			AvailInodes: inodes - 1,
		}
		if st := e.statfs(top); st != want {
			e.Fatalf("with the largest quota: %+v, want %+v", st, want)
		}
	}},
}

// limited makes, or changes, the share "limited" and returns its top.
func (e *env) limited(bytes int64, inodes uint64) vfs.ID {
	e.Helper()
	return e.rootOf(e.addShare(vfs.ShareSpec{
		Name: "limited", Mode: 0o777, QuotaBytes: bytes, QuotaInodes: int64(inodes),
	}))
}

func (e *env) statfs(id vfs.ID) vfs.StatFS {
	e.Helper()
	st, attr, err := e.FS.StatFS(super, id)
	e.ok(err, "statfs")
	if attr.ID != id {
		e.Fatalf("statfs has attributes of %+v", attr.ID)
	}
	return st
}

// grow writes n bytes at off.
func (e *env) grow(id vfs.ID, off uint64, n int) error {
	e.Helper()
	before := e.attr(id)
	_, wcc, err := e.FS.Write(super, id, off, []byte(strings.Repeat("y", n)), vfs.FileSync)
	if err != nil && (!wcc.Valid || wcc.Before != before || wcc.After != before) {
		e.Fatalf("a refused write left %+v", wcc)
	}
	return err
}

func byteQuota(e *env) {
	top := e.limited(10_000, 0)
	f := e.create(super, top, "f", 0o644)
	e.want(e.grow(f, 0, 10_001), vfs.EDQUOT, "one byte too many")
	if a := e.attr(f); a.Size != 0 || a.Used != 0 {
		e.Fatalf("the refused write left size %d used %d", a.Size, a.Used)
	}
	e.ok(e.grow(f, 0, 10_000), "the whole quota")
	e.want(e.grow(f, 10_000, 1), vfs.EDQUOT, "a byte more")
	e.ok(e.grow(f, 2000, 8000), "an overwrite")
	e.want(e.grow(f, 9000, 1001), vfs.EDQUOT, "an overwrite with a byte more")
	e.holds(f, strings.Repeat("y", 10_000))

	// Space comes back by truncation and removal, once.
	e.truncate(f, 4000)
	g := e.create(super, top, "g", 0o644)
	e.ok(e.grow(g, 1<<40, 6000), "what the truncation freed")
	e.want(e.grow(g, 0, 1), vfs.EDQUOT, "a byte more")
	e.truncate(g, 1<<41) // a hole takes nothing
	e.link(g, top, "g2")
	e.remove(top, "g")
	e.want(e.grow(f, 4000, 1), vfs.EDQUOT, "a byte more after removing one of two names")
	e.remove(top, "g2")
	e.want(e.grow(f, 4000, 6001), vfs.EDQUOT, "a byte more than the removal freed")
	e.ok(e.grow(f, 4000, 6000), "what the removal freed")
	h := e.create(super, top, "h", 0o644)
	e.rename(top, "h", top, "f")
	e.ok(e.grow(h, 0, 10_000), "what the replacement freed")
	if st := e.statfs(top); st.FreeBytes != 0 {
		e.Fatalf("%d bytes are free", st.FreeBytes)
	}
	// Other shares are not concerned.
	e.ok(e.grow(e.create(super, e.top, "f", 0o644), 0, 20_000), "a write elsewhere")
}

// lastBytes lets writers of many files race for room that only one can have.
func lastBytes(e *env) {
	const rounds, writers, size = 50, 8, 1000
	top := e.limited(5*size, 0)
	e.ok(e.grow(e.create(super, top, "most", 0o644), 0, 4*size), "write of most of the quota")
	var files [writers]vfs.ID
	for w := range writers {
		files[w] = e.create(super, top, fmt.Sprint("f", w), 0o644)
	}
	for range rounds {
		start := make(chan struct{})
		var wg sync.WaitGroup
		var won atomic.Int32
		for _, f := range files {
			wg.Go(func() {
				<-start
				_, _, err := e.FS.Write(super, f, 0, make([]byte, size), vfs.Unstable)
				if err == nil {
					won.Add(1)
				} else if err != vfs.EDQUOT {
					e.Errorf("write: %v", err)
				}
			})
		}
		close(start)
		wg.Wait()
		if won.Load() != 1 {
			e.Fatalf("%d of %d writers got the room of one", won.Load(), writers)
		}
		for _, f := range files {
			e.truncate(f, 0)
		}
	}
}

func inodeQuota(e *env) {
	top := e.limited(0, 5)
	f := e.create(super, top, "f", 0o644)
	e.mkdir(super, top, "d", 0o755)
	e.symlink(top, "s", "t")
	e.fifo(top, "p")
	calls := map[string]func() error{
		"create": func() error {
			_, _, err := e.FS.Create(super, top, "n", vfs.CreateUnchecked, mode(0o600), vfs.Verifier{})
			return err
		},
		"exclusive create": func() error {
			_, _, err := e.FS.Create(super, top, "n", vfs.CreateExclusive, vfs.SetAttr{}, vfs.Verifier{})
			return err
		},
		"mkdir":   func() error { return third(e.FS.Mkdir(super, top, "n", mode(0o700))) },
		"symlink": func() error { return third(e.FS.Symlink(super, top, "n", "t", vfs.SetAttr{})) },
		"mknod":   func() error { return third(e.FS.Mknod(super, top, "n", vfs.TypeFIFO, vfs.Device{}, mode(0o600))) },
	}
	before := e.attr(top)
	for what, call := range calls {
		e.want(call(), vfs.EDQUOT, what)
	}
	if e.attr(top) != before {
		e.Fatal("refused operations changed the directory")
	}
	e.absent(top, "n")
	e.link(f, top, "f2") // a name is no inode
	e.remove(top, "f")
	e.want(calls["create"](), vfs.EDQUOT, "create after removing one of two names")
	e.remove(top, "f2")
	e.ok(calls["create"](), "create after a removal")
	e.want(calls["create"](), 0, "create of an existing name")
	e.rmdir(top, "d")
	e.mkdir(super, top, "d", 0o755)
	e.rename(top, "s", top, "p")
	e.symlink(top, "s", "t")
	if st := e.statfs(top); st.FreeInodes != 0 {
		e.Fatalf("%d inodes are free", st.FreeInodes)
	}
}

func usageAfterRestart(e *env) {
	top := e.limited(10_000, 10)
	for i := range 4 {
		f := e.create(super, top, fmt.Sprint("f", i), 0o644)
		e.write(f, uint64(i), strings.Repeat("x", 2000), vfs.Stability(i%3))
		e.write(f, 100, strings.Repeat("z", 500), vfs.Stability((i+1)%3))
	}
	e.remove(top, "f3")
	e.truncate(e.lookup(top, "f2"), 1000)
	before := e.statfs(top)
	e.restart()
	if e.limited(10_000, 10) != top {
		e.Fatal("the share has another top directory")
	}
	if st := e.statfs(top); st != before {
		e.Fatalf("statfs went from %+v to %+v", before, st)
	}
	used := uint64(0)
	e.walk(top, func(a vfs.Attr) {
		if a.Type == vfs.TypeRegular {
			used += a.Used
		}
	})
	if before.FreeBytes != 10_000-used || before.FreeInodes != 10-4 {
		e.Fatalf("files use %d bytes, statfs says %+v", used, before)
	}
}
