package vfstest

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/dittofs/dittofs/internal/vfs"
)

// RunHistories does random histories of operations, restarts and crashes on
// the filesystem and on a model of it, and compares. A failing history is made
// as short as possible and printed with the seed that repeats it
// (-rapid.seed); -rapid.checks and -rapid.steps make more and longer ones. For
// stores that take long, one in so many is enough. The counts are logged.
func RunHistories(t *testing.T, open Open, oneIn int) {
	counts := map[string]int{}
	asked, begun, remembers := -1, 0, false
	rapid.Check(t, func(rt *rapid.T) {
		// After one that failed each is done: rapid makes it shorter.
		if asked++; asked%oneIn != 0 && begun == counts["histories"] {
			return
		}
		begun++
		e := &env{T: rt, Instance: open(t)}
		defer func() { e.Close() }()
		remembers = e.Restart != nil
		e.share = e.addShare(mainShare)
		e.top = e.rootOf(e.share)
		h := &history{env: e, m: newModel(e.top, e.Remote), limit: e.limited(1<<40, 1<<20), counts: counts,
			releases: map[*inode]func(){}}
		h.m.top.id = h.limit
		rt.Repeat(h.actions())
		h.compare(true)
		e.settleBelow(h.limit)
		CheckConsistent(rt, e.Meta)
		counts["histories"]++
	})
	t.Logf("%d histories of %d operations, with %d restarts and %d crashes, agree with the model",
		counts["histories"], counts["operations"], counts["restart"], counts["crash"])
	// Histories of nothing agree with every model. Few may be without a stop by chance.
	if counts["operations"] == 0 {
		t.Error("no operation was compared")
	}
	if remembers && counts["histories"] >= 10 && (counts["restart"] == 0 || counts["crash"] == 0) {
		t.Error("no history went on after a restart, or none after a crash")
	}
}

type history struct {
	*env
	m     *model
	limit vfs.ID // top of a share that counts
	// releases are those of the files that are held.
	releases map[*inode]func()
	counts   map[string]int
}

var (
	historyNames = rapid.SampledFrom([]string{"a", "b", "c", "d"})
	verifiers    = rapid.SampledFrom([]vfs.Verifier{{}, {1}, {7: 1}})
	// Offsets and sizes around those of blocks, pages and small records.
	places = rapid.OneOf(rapid.IntRange(0, 64), rapid.SampledFrom([]int{511, 512, 4095, 4096, 4097, 8192, 16384, 20000}))
)

func (h *history) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"":         func(*rapid.T) { h.compare(false) },
		"create":   h.doCreate,
		"create 2": h.doCreate,
		"make":     h.doMake,
		"make 2":   h.doMake,
		"remove":   h.doRemove,
		"rename":   h.doRename,
		"rename 2": h.doRename,
		"link":     h.doLink,
		"write":    h.doWrite,
		"write 2":  h.doWrite,
		"write 3":  h.doWrite,
		"truncate": h.doTruncate,
		"commit":   h.doCommit,
		"read":     h.doRead,
		"chmod":    h.doChmod,
		"readdir":  h.doReaddir,
		"hold":     h.doHold,
		"release":  h.doRelease,
	}
	if h.Restart != nil {
		actions["restart"] = func(*rapid.T) { h.restart(); h.back(false) }
	}
	if h.Crash != nil {
		actions["crash"] = func(*rapid.T) { h.crash(); h.back(true) }
	}
	for name, do := range actions {
		if name == "" {
			continue
		}
		actions[name] = func(rt *rapid.T) {
			do(rt)
			h.counts["operations"]++
			h.counts[name]++
		}
	}
	return actions
}

// back goes on after a restart, with the files as the crash left them.
func (h *history) back(crashed bool) {
	if h.limited(1<<40, 1<<20) != h.limit {
		h.Fatal("the share has another top directory")
	}
	clear(h.releases)
	for _, n := range h.m.all {
		h.m.released(n)
	}
	h.reclaimed(0)
	for _, n := range h.m.live() {
		if n.typ != vfs.TypeRegular {
			continue
		}
		if !crashed {
			n.durable()
		} else if got := h.contents(n.id); !h.m.crashed(n, got, h.attr(n.id).Used) {
			h.Fatalf("inode %d holds %d bytes that it never held since it was made durable", n.id.Inode, len(got))
		}
	}
	h.compare(true)
}

// node draws an inode; in some of the histories, one that was removed too.
func (h *history) node(rt *rapid.T, what string, fits func(*inode) bool) *inode {
	var some []*inode
	for _, n := range h.m.all {
		if fits(n) && (!n.gone() || len(h.m.all)%5 == 0) {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		rt.Skip("nothing fits")
	}
	n := some[rapid.IntRange(0, len(some)-1).Draw(rt, what)]
	rt.Log(what, n)
	return n
}

func (n *inode) String() string { return fmt.Sprintf("inode %d (type %d)", n.id.Inode, n.typ) }

func anything(*inode) bool { return true }

func isFile(n *inode) bool { return n.typ == vfs.TypeRegular }

func (h *history) dir(rt *rapid.T, what string) *inode { return h.node(rt, what, (*inode).isDir) }

func (h *history) doCreate(rt *rapid.T) {
	d, name := h.dir(rt, "dir"), historyNames.Draw(rt, "name")
	how := vfs.CreateMode(rapid.IntRange(0, 2).Draw(rt, "how"))
	v := verifiers.Draw(rt, "verifier")
	set := vfs.SetAttr{}
	if how != vfs.CreateExclusive {
		set.Mode = ptr(uint32(0o644))
		if rapid.Bool().Draw(rt, "with size") {
			set.Size = ptr(uint64(places.Draw(rt, "size")))
		}
	}
	want := h.m.mayAdd(d, name)
	old, _ := d.find(name)
	if want == vfs.EEXIST && isFile(old) &&
		(how == vfs.CreateUnchecked || how == vfs.CreateExclusive && old.verf != nil && *old.verf == v) {
		want = 0
	}
	a, _, err := h.FS.Create(super, d.id, name, how, set, v)
	h.want(err, want, "create")
	switch {
	case want != 0:
	case old != nil:
		if a.ID != old.id {
			h.Fatalf("create of %q gave %+v, it is %v", name, a.ID, old)
		}
		if set.Size != nil {
			h.m.truncate(old, int(*set.Size))
		}
	default:
		n := &inode{id: a.ID, typ: vfs.TypeRegular}
		if how == vfs.CreateExclusive {
			n.verf = &v
		} else {
			n.mode = 0o644
		}
		if set.Size != nil {
			n.now = n.now.resized(int(*set.Size))
		}
		h.m.add(d, name, n)
	}
}

func (h *history) doMake(rt *rapid.T) {
	d, name := h.dir(rt, "dir"), historyNames.Draw(rt, "name")
	want := h.m.mayAdd(d, name)
	n := &inode{
		typ: rapid.SampledFrom([]vfs.FileType{
			vfs.TypeDirectory, vfs.TypeDirectory, vfs.TypeSymlink, vfs.TypeSocket,
		}).Draw(rt, "type"),
	}
	var a vfs.Attr
	var err error
	switch n.typ {
	case vfs.TypeDirectory:
		n.mode = 0o755
		a, _, err = h.FS.Mkdir(super, d.id, name, mode(n.mode))
	case vfs.TypeSymlink:
		n.target, n.mode = "to/"+name, 0o777
		a, _, err = h.FS.Symlink(super, d.id, name, n.target, vfs.SetAttr{})
	default:
		n.mode = 0o600
		a, _, err = h.FS.Mknod(super, d.id, name, n.typ, vfs.Device{}, mode(n.mode))
	}
	h.want(err, want, "make")
	if want == 0 {
		n.id = a.ID
		h.m.add(d, name, n)
	}
}

func (h *history) doRemove(rt *rapid.T) {
	d, name := h.dir(rt, "dir"), historyNames.Draw(rt, "name")
	rmdir := rapid.Bool().Draw(rt, "rmdir")
	var err error
	if rmdir {
		_, err = h.FS.Rmdir(super, d.id, name)
	} else {
		_, err = h.FS.Remove(super, d.id, name)
	}
	h.want(err, h.m.unlink(d, name, rmdir), "remove")
}

func (h *history) doRename(rt *rapid.T) {
	from, to := h.dir(rt, "from"), h.dir(rt, "to")
	name, newName := historyNames.Draw(rt, "name"), historyNames.Draw(rt, "new name")
	_, _, err := h.FS.Rename(super, from.id, name, to.id, newName)
	h.want(err, h.m.rename(from, name, to, newName), "rename")
}

func (h *history) doLink(rt *rapid.T) {
	n, d, name := h.node(rt, "file", anything), h.dir(rt, "dir"), historyNames.Draw(rt, "name")
	_, _, err := h.FS.Link(super, n.id, d.id, name)
	h.want(err, h.m.link(n, d, name), "link")
}

func (h *history) doWrite(rt *rapid.T) {
	n := h.node(rt, "file", isFile)
	off, how := places.Draw(rt, "offset"), vfs.Stability(rapid.IntRange(0, 2).Draw(rt, "stability"))
	p := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(rt, "byte"))}, places.Draw(rt, "length"))
	_, _, err := h.FS.Write(super, n.id, uint64(off), p, how)
	if n.gone() {
		h.want(err, vfs.ESTALE, "write")
		return
	}
	h.want(err, 0, "write")
	h.m.write(n, off, p, how != vfs.Unstable)
}

func (h *history) doTruncate(rt *rapid.T) {
	n, size := h.node(rt, "file", isFile), places.Draw(rt, "size")
	_, err := h.FS.SetAttr(super, n.id, vfs.SetAttr{Size: ptr(uint64(size))}, nil)
	if n.gone() {
		h.want(err, vfs.ESTALE, "truncate")
		return
	}
	h.want(err, 0, "truncate")
	h.m.truncate(n, size)
}

func (h *history) doCommit(rt *rapid.T) {
	n := h.node(rt, "file", isFile)
	if _, err := h.FS.Commit(super, n.id, 0, 0); n.gone() {
		h.want(err, vfs.ESTALE, "commit")
		return
	} else {
		h.want(err, 0, "commit")
	}
	n.durable()
}

func (h *history) doRead(rt *rapid.T) {
	n := h.node(rt, "file", isFile)
	off, count := places.Draw(rt, "offset"), places.Draw(rt, "count")
	got, eof, err := h.tryRead(super, n.id, uint64(off), uint32(count))
	if n.gone() {
		h.want(err, vfs.ESTALE, "read")
		return
	}
	h.want(err, 0, "read")
	all := n.now.bytes
	want := all[min(off, len(all)):min(off+count, len(all))]
	if !bytes.Equal(got, want) || eof != (off+count >= len(all) && (count > 0 || off >= len(all))) {
		h.Fatalf("read of %d at %d of %d bytes gave %d bytes, eof %v", count, off, len(all), len(got), eof)
	}
}

func (h *history) doChmod(rt *rapid.T) {
	n, m := h.node(rt, "inode", anything), uint32(rapid.IntRange(0, 0o7777).Draw(rt, "mode"))
	_, err := h.FS.SetAttr(super, n.id, mode(m), nil)
	if n.gone() {
		h.want(err, vfs.ESTALE, "chmod")
		return
	}
	h.want(err, 0, "chmod")
	n.mode = m
}

func (h *history) doHold(rt *rapid.T) {
	n := h.node(rt, "file", func(n *inode) bool { return isFile(n) && !n.held })
	release, err := h.FS.Hold(super.Context, n.id)
	if n.gone() {
		h.want(err, vfs.ESTALE, "hold")
		return
	}
	h.want(err, 0, "hold")
	n.held = true
	h.releases[n] = release
}

func (h *history) doRelease(rt *rapid.T) {
	n := h.node(rt, "file", func(n *inode) bool { return n.held })
	h.releases[n]()
	delete(h.releases, n)
	h.m.released(n)
	unnamed := 0
	for n := range h.releases {
		if n.nlink == 0 {
			unnamed++
		}
	}
	h.reclaimed(unnamed)
}

func (h *history) doReaddir(rt *rapid.T) {
	d, page := h.dir(rt, "dir"), rapid.IntRange(1, 3).Draw(rt, "page")
	if d.nlink == 0 {
		_, _, err := h.FS.ReadDir(super, d.id, vfs.Position{}, false, func(vfs.DirEntry) bool { return true })
		h.want(err, vfs.ESTALE, "readdir")
		return
	}
	var all []vfs.DirEntry
	cookie := uint64(0)
	for eof := false; !eof; {
		var some []vfs.DirEntry
		some, eof = h.list(d.id, cookie, page)
		all = append(all, some...)
		if len(some) > 0 {
			cookie = some[len(some)-1].Cookie
		}
	}
	h.sameEntries(d, all)
}

func (h *history) sameEntries(d *inode, got []vfs.DirEntry) {
	h.Helper()
	if len(got) != len(d.entries) {
		h.Fatalf("%v lists %+v, want %+v", d, got, d.entries)
	}
	for i, want := range d.entries {
		if got[i].Name != want.name || got[i].ID.Inode != want.node.id.Inode || got[i].Type != want.node.typ {
			h.Fatalf("%v lists %+v, want %+v", d, got, d.entries)
		}
	}
}

// compare checks the whole tree, with the contents of files if deep.
func (h *history) compare(deep bool) {
	h.Helper()
	live := h.m.live()
	for _, n := range live {
		a := h.attr(n.id)
		want := a
		want.Type, want.Mode, want.Nlink = n.typ, n.mode, n.nlink
		if n.isDir() {
			want.Parent = n.parent.id.Inode
		} else {
			want.Size, want.Used = n.size(), n.now.used()
		}
		if a != want {
			h.Fatalf("%v is %+v, want %+v", n, a, want)
		}
		if n.isDir() {
			got, _ := h.list(n.id, 0, 0)
			h.sameEntries(n, got)
		}
		if !deep {
			continue
		}
		switch {
		case n.typ == vfs.TypeRegular && !bytes.Equal(h.contents(n.id), n.now.bytes):
			h.Fatalf("the contents of %v differ", n)
		case n.typ == vfs.TypeSymlink:
			if target, _, err := h.FS.Readlink(super, n.id); err != nil || target != n.target {
				h.Fatalf("%v leads to %q (%v)", n, target, err)
			}
		}
		for _, d := range n.entries {
			if h.lookup(n.id, d.name) != d.node.id {
				h.Fatalf("%q in %v is not %v", d.name, n, d.node)
			}
		}
	}
	st := h.statfs(h.limit)
	if used := st.TotalBytes - st.FreeBytes; used != h.m.bytes || st.TotalInodes-st.FreeInodes != uint64(len(live)) {
		h.Fatalf("%d bytes and %d inodes are counted, want %d and %d",
			used, st.TotalInodes-st.FreeInodes, h.m.bytes, len(live))
	}
}
