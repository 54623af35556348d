package v3_test

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/dittofs/dittofs/internal/nfs/nfstest"
	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

func TestHandleIsNoPermission(t *testing.T) {
	open := config.Share{Name: "open"}
	shut := config.Share{Name: "shut"}
	srv := nfstest.Start(t, nfstest.Memory, open, shut)
	e := &env{T: t, srv: srv, c: srv.Dial(nfsclient.Options{})}
	e.root = srv.Mount(e.c, "/shut")
	f := e.create(e.root, "f")

	// The configuration changes under a mounted client.
	shut.Clients = []config.Client{{CIDR: "192.0.2.0/24"}}
	shut.Path, open.Path = "/shut", "/open"
	if err := srv.Exports.Replace([]config.Share{open, shut}, srv.IDs); err != nil {
		t.Fatal(err)
	}
	e.everyProcedure(f, nfsclient.ErrAcces, "of a share that is not for this client")
	shut.Clients = []config.Client{{CIDR: "127.0.0.0/8", Secure: true}}
	if err := srv.Exports.Replace([]config.Share{open, shut}, srv.IDs); err != nil {
		t.Fatal(err)
	}
	e.everyProcedure(f, nfsclient.ErrPerm, "of a share that wants privileged ports")
	shut.Clients = []config.Client{{CIDR: "127.0.0.0/8", Access: config.AccessReadOnly}}
	if err := srv.Exports.Replace([]config.Share{open, shut}, srv.IDs); err != nil {
		t.Fatal(err)
	}
	e.getattr(f)
	w, err := e.c.Remove(e.root, "f")
	e.want(err, nfsclient.ErrROFS, "REMOVE by a client that may only read")
	e.wantWCC(w, e.root, false, "REMOVE by a client that may only read")
	if err := srv.Exports.Replace([]config.Share{open}, srv.IDs); err != nil {
		t.Fatal(err)
	}
	e.everyProcedure(f, nfsclient.ErrStale, "of a share that is not there any more")
}

// everyProcedure calls all procedures that take a handle, and checks that each
// is refused with the status and tells nothing of the object.
func (e *env) everyProcedure(h nfsclient.Handle, want nfsclient.Status, what string) {
	e.Helper()
	var none nfsclient.SetAttr
	for proc, call := range map[string]func() (bool, error){
		"GETATTR":     func() (bool, error) { a, err := e.c.GetAttr(h); return a != nil, err },
		"SETATTR":     func() (bool, error) { w, err := e.c.SetAttr(h, none, nil); return tells(w), err },
		"LOOKUP":      func() (bool, error) { n, err := e.c.Lookup(h, "x"); return n.Dir != nil, err },
		"ACCESS":      func() (bool, error) { _, a, err := e.c.Access(h, 1); return a != nil, err },
		"READLINK":    func() (bool, error) { _, a, err := e.c.Readlink(h); return a != nil, err },
		"READ":        func() (bool, error) { r, err := e.c.Read(h, 0, 1); return r.Attr != nil, err },
		"WRITE":       func() (bool, error) { r, err := e.c.Write(h, 0, []byte("x"), 2); return tells(r.WCC), err },
		"CREATE":      func() (bool, error) { n, err := e.c.Create(h, "x", 0, none, nil); return tells(n.DirWCC), err },
		"MKDIR":       func() (bool, error) { n, err := e.c.Mkdir(h, "x", none); return tells(n.DirWCC), err },
		"SYMLINK":     func() (bool, error) { n, err := e.c.Symlink(h, "x", "y", none); return tells(n.DirWCC), err },
		"MKNOD":       func() (bool, error) { n, err := e.c.Mknod(h, "x", 7, none, 0, 0); return tells(n.DirWCC), err },
		"REMOVE":      func() (bool, error) { w, err := e.c.Remove(h, "x"); return tells(w), err },
		"RMDIR":       func() (bool, error) { w, err := e.c.Rmdir(h, "x"); return tells(w), err },
		"RENAME":      func() (bool, error) { w, to, err := e.c.Rename(h, "x", h, "y"); return tells(w, to), err },
		"LINK":        func() (bool, error) { a, w, err := e.c.Link(h, h, "x"); return a != nil || tells(w), err },
		"READDIR":     func() (bool, error) { l, err := e.c.ReadDir(h, 0, 0, 4096); return l.Dir != nil, err },
		"READDIRPLUS": func() (bool, error) { l, err := e.c.ReadDirPlus(h, 0, 0, 4096, 4096); return l.Dir != nil, err },
		"FSSTAT":      func() (bool, error) { s, err := e.c.FSStat(h); return s.Attr != nil, err },
		"FSINFO":      func() (bool, error) { i, err := e.c.FSInfo(h); return i.Attr != nil, err },
		"PATHCONF":    func() (bool, error) { p, err := e.c.PathConf(h); return p.Attr != nil, err },
		"COMMIT":      func() (bool, error) { r, err := e.c.Commit(h, 0, 0); return tells(r.WCC), err },
	} {
		told, err := call()
		e.want(err, want, proc+" "+what)
		if told {
			e.Errorf("%s %s: attributes were sent", proc, what)
		}
	}
}

// tells says whether WCC data has anything of its object: size and times from
// before are as telling as those of now.
func tells(data ...nfsclient.WCC) bool {
	for _, w := range data {
		if w.Before != nil || w.After != nil {
			return true
		}
	}
	return false
}

func TestBadHandlesAreRefusedByEveryProcedure(t *testing.T) {
	e := newEnv(t, nfstest.Memory)
	forged := bytes.Clone(e.root)
	forged[9] ^= 1
	e.everyProcedure(forged, nfsclient.ErrBadHandle, "of a forged handle")
	e.everyProcedure(nil, nfsclient.ErrBadHandle, "of an empty handle")
	f := e.create(e.root, "f")
	_, err := e.c.Remove(e.root, "f")
	e.want(err, 0, "REMOVE")
	e.everyProcedure(f, nfsclient.ErrStale, "of a file that was removed")
}

func TestUsersAreSquashedAsTheShareSays(t *testing.T) {
	anon := config.Identity{UID: 4000, GID: 4001}
	srv := nfstest.Start(t, nfstest.Memory,
		config.Share{Name: "root", Squash: config.SquashRoot, Anonymous: anon, Root: config.Root{Mode: "0777"}},
		config.Share{Name: "all", Squash: config.SquashAll, Anonymous: anon, Root: config.Root{Mode: "0777"}},
		config.Share{Name: "none", Squash: config.SquashNone, Anonymous: anon, Root: config.Root{Mode: "0777"}})
	for _, tc := range []struct {
		share    string
		who      nfsclient.Options
		uid, gid uint32
	}{
		{"root", nfsclient.Options{}, 4000, 4001},
		{"root", nfsclient.Options{UID: 7, GID: 8}, 7, 8},
		{"root", nfsclient.Options{UID: 7}, 7, 4001},
		{"root", nfsclient.Options{AuthNone: true}, 4000, 4001},
		{"root", nfsclient.Options{UID: math.MaxUint32, GID: math.MaxUint32}, 4000, 4001},
		{"root", nfsclient.Options{UID: math.MaxUint32, GID: 8}, 4000, 8},
		{"all", nfsclient.Options{UID: 7, GID: 8}, 4000, 4001},
		{"all", nfsclient.Options{AuthNone: true}, 4000, 4001},
		{"none", nfsclient.Options{}, 0, 0},
		{"none", nfsclient.Options{AuthNone: true}, 4000, 4001},
		{"none", nfsclient.Options{UID: 7, GID: math.MaxUint32}, 7, 4001},
	} {
		c := srv.Dial(tc.who)
		e := &env{T: t, srv: srv, c: c, root: srv.Mount(c, "/"+tc.share)}
		a := e.getattr(e.create(e.root, fmt.Sprintf("%+v", tc.who)))
		if a.UID != tc.uid || a.GID != tc.gid {
			t.Errorf("squash %s: %+v made a file of %d:%d, want %d:%d", tc.share, tc.who, a.UID, a.GID, tc.uid, tc.gid)
		}
	}
}

func TestNothingIsRenamedOrLinkedAcrossShares(t *testing.T) {
	srv := nfstest.Start(t, nfstest.Memory, config.Share{Name: "a"}, config.Share{Name: "b"})
	c := srv.Dial(nfsclient.Options{})
	e := &env{T: t, srv: srv, c: c, root: srv.Mount(c, "/a")}
	other := srv.Mount(c, "/b")
	f := e.create(e.root, "f")
	_, _, err := c.Rename(e.root, "f", other, "f")
	e.want(err, nfsclient.ErrXDev, "RENAME across shares")
	_, _, err = c.Link(f, other, "f")
	e.want(err, nfsclient.ErrXDev, "LINK across shares")
	if a, b := e.getattr(e.root), e.getattr(other); a.FSID == b.FSID {
		t.Errorf("both shares have the file system id %d", a.FSID)
	}
}

func TestHandlesAndStableDataOutliveARestart(t *testing.T) {
	share := config.Share{Name: "export"}
	srv := nfstest.Start(t, nfstest.Pebble, config.Share{Name: "first"}, share)
	e := &env{T: t, srv: srv, c: srv.Dial(nfsclient.Options{})}
	e.root = srv.Mount(e.c, "/export")
	f := e.create(e.root, "f")
	w, err := e.c.Write(f, 0, []byte("stable"), nfsclient.FileSync)
	e.want(err, 0, "WRITE")

	// Another order of shares, and one that is new.
	next := srv.Restart(config.Share{Name: "new"}, share, config.Share{Name: "first"})
	e.c = next.Dial(nfsclient.Options{})
	r, err := e.c.Read(f, 0, 100)
	e.want(err, 0, "READ by an old handle")
	if string(r.Data) != "stable" || !r.EOF {
		t.Errorf("READ: %q", r.Data)
	}
	n, err := e.c.Lookup(e.root, "f")
	e.want(err, 0, "LOOKUP by an old handle")
	if !bytes.Equal(n.Handle, f) {
		t.Error("the file has another handle now")
	}
	again, err := e.c.Commit(f, 0, 0)
	e.want(err, 0, "COMMIT")
	if again.Verifier == w.Verifier {
		t.Error("the write verifier is that of the last start")
	}
}

func TestRetransmittedChangeIsAnsweredAsTheFirstTime(t *testing.T) {
	onAllStores(t, func(e *env) {
		e.create(e.root, "f")
		var args xdr.Encoder
		args.Opaque(e.root)
		args.String("f")
		again := e.srv.Dial(nfsclient.Options{})
		for _, c := range []*nfsclient.Client{e.c, again} {
			res, err := c.CallXID(4711, nfsclient.ProgramNFS, 3, nfsclient.ProcRemove, args.Bytes())
			if err != nil || len(res) < 4 || !bytes.Equal(res[:4], make([]byte, 4)) {
				e.Errorf("REMOVE: % x, %v", res, err)
			}
		}
		_, err := e.c.Remove(e.root, "f")
		e.want(err, nfsclient.ErrNoEnt, "another REMOVE")
	})
}

func TestArgumentsThatCannotBeDecodedAreGarbage(t *testing.T) {
	e := newEnv(t, nfstest.Memory)
	f := e.create(e.root, "f")
	build := func(put func(*xdr.Encoder)) []byte {
		var x xdr.Encoder
		put(&x)
		return x.Bytes()
	}
	name := func(x *xdr.Encoder) { x.Opaque(e.root); x.String("new") }
	for what, tc := range map[string]struct {
		proc uint32
		args []byte
	}{
		"GETATTR without a handle": {nfsclient.ProcGetAttr, nil},
		"LOOKUP without a name":    {nfsclient.ProcLookup, build(func(x *xdr.Encoder) { x.Opaque(e.root) })},
		"LOOKUP of a name of 4 GiB": {nfsclient.ProcLookup, build(func(x *xdr.Encoder) {
			x.Opaque(e.root)
			x.Uint32(math.MaxUint32)
		})},
		"CREATE of an unknown mode": {nfsclient.ProcCreate, build(func(x *xdr.Encoder) { name(x); x.Uint32(3) })},
		"exclusive CREATE of 4 bytes": {nfsclient.ProcCreate, build(func(x *xdr.Encoder) {
			name(x)
			x.Uint32(2)
			x.Uint32(1)
		})},
		"MKDIR with a boolean of 2": {nfsclient.ProcMkdir, build(func(x *xdr.Encoder) { name(x); x.Uint32(2) })},
		"SETATTR with a time_how of 3": {nfsclient.ProcSetAttr, build(func(x *xdr.Encoder) {
			x.Opaque(f)
			x.Append(make([]byte, 16))
			x.Uint32(3)
		})},
		"WRITE of an unknown stability": {nfsclient.ProcWrite, build(func(x *xdr.Encoder) {
			x.Opaque(f)
			x.Uint64(0)
			x.Uint32(1)
			x.Uint32(3)
			x.Opaque([]byte{1})
		})},
		"WRITE of data that is not there": {nfsclient.ProcWrite, build(func(x *xdr.Encoder) {
			x.Opaque(f)
			x.Uint64(0)
			x.Uint32(1 << 20)
			x.Uint32(0)
			x.Uint32(1 << 20)
		})},
		"READ without a count": {nfsclient.ProcRead, build(func(x *xdr.Encoder) { x.Opaque(f); x.Uint64(0) })},
	} {
		_, err := e.c.Call(nfsclient.ProgramNFS, 3, tc.proc, tc.args)
		e.wantRPC(err, 4, what)
	}
	_, err := e.c.Call(nfsclient.ProgramNFS, 3, 22, nil)
	e.wantRPC(err, 3, "procedure 22")
	_, err = e.c.Call(nfsclient.ProgramNFS, 2, 1, nil)
	e.wantRPC(err, 2, "NFS version 2")

	count := build(func(x *xdr.Encoder) {
		x.Opaque(f)
		x.Uint64(0)
		x.Uint32(5)
		x.Uint32(2)
		x.Opaque([]byte("four"))
	})
	res, err := e.c.Call(nfsclient.ProgramNFS, 3, nfsclient.ProcWrite, count)
	if d := xdr.NewDecoder(res); err != nil || nfsclient.Status(d.Uint32()) != nfsclient.ErrInval {
		t.Errorf("WRITE whose count is not its data's: % x, %v", res, err)
	}
	if a := e.getattr(f); a.Size != 0 {
		t.Errorf("%d bytes were written", a.Size)
	}
}

func TestManyClientsWorkInOneDirectory(t *testing.T) {
	onAllStores(t, func(e *env) {
		var wg sync.WaitGroup
		for i := range 8 {
			c := e.srv.Dial(nfsclient.Options{})
			wg.Add(1)
			go func() {
				defer wg.Done()
				for j := range 25 {
					name := fmt.Sprintf("%d-%d", i, j)
					n, err := c.Create(e.root, name, nfsclient.Guarded, nfsclient.SetAttr{}, nil)
					if err == nil {
						_, err = c.Write(n.Handle, 0, []byte(name), nfsclient.FileSync)
					}
					var r nfsclient.ReadResult
					if err == nil {
						r, err = c.Read(n.Handle, 0, 100)
					}
					if err == nil && j%2 == 0 {
						_, err = c.Remove(e.root, name)
					}
					if err != nil || string(r.Data) != name {
						e.Errorf("%s: %v, read %q", name, err, r.Data)
						return
					}
				}
			}()
		}
		wg.Wait()
		l, err := e.c.ReadDir(e.root, 0, 0, 1<<20)
		e.want(err, 0, "READDIR")
		if len(l.Entries) != 2+8*12 || !l.EOF {
			e.Errorf("%d entries, want %d", len(l.Entries), 2+8*12)
		}
	})
}
