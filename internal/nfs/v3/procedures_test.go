package v3_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/nfs/nfstest"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// env is a share with a client who is root there.
type env struct {
	*testing.T
	srv  *nfstest.Server
	c    *nfsclient.Client
	root nfsclient.Handle
}

// onAllStores runs a test over each kind of stores, in a share of its own.
func onAllStores(t *testing.T, test func(*env)) {
	for _, kind := range nfstest.All {
		t.Run(string(kind), func(t *testing.T) { test(newEnv(t, kind)) })
	}
}

func newEnv(t *testing.T, kind nfstest.Stores) *env {
	t.Helper()
	srv := nfstest.Start(t, kind, config.Share{Name: "export"})
	c := srv.Dial(nfsclient.Options{})
	return &env{T: t, srv: srv, c: c, root: srv.Mount(c, "/export")}
}

func (e *env) want(err error, want nfsclient.Status, what string) {
	e.Helper()
	var got nfsclient.Status
	if err != nil && !errors.As(err, &got) {
		e.Fatalf("%s: %v", what, err)
	}
	if got != want {
		e.Fatalf("%s: status %d, want %d", what, uint32(got), uint32(want))
	}
}

// wantRPC checks that the server refused to run a call.
func (e *env) wantRPC(err error, stat uint32, what string) {
	e.Helper()
	var got *nfsclient.RPCError
	if !errors.As(err, &got) || got.Denied || got.Stat != stat {
		e.Fatalf("%s: %v, want accept_stat %d", what, err, stat)
	}
}

// wantWCC checks that both parts of the WCC data are there and fit the
// object's attributes now.
func (e *env) wantWCC(w nfsclient.WCC, h nfsclient.Handle, changed bool, what string) {
	e.Helper()
	if w.Before == nil || w.After == nil {
		e.Fatalf("%s: WCC data is missing: %+v", what, w)
	}
	now := e.getattr(h)
	if *w.After != *now {
		e.Errorf("%s: after-attributes %+v, now %+v", what, *w.After, *now)
	}
	before := nfsclient.WCCAttr{Size: w.After.Size, Mtime: w.After.Mtime, Ctime: w.After.Ctime}
	if (*w.Before != before) != changed {
		e.Errorf("%s: before %+v, after %+v; changed should be %v", what, *w.Before, before, changed)
	}
}

func (e *env) getattr(h nfsclient.Handle) *nfsclient.Attr {
	e.Helper()
	a, err := e.c.GetAttr(h)
	e.want(err, 0, "GETATTR")
	return a
}

func (e *env) create(dir nfsclient.Handle, name string) nfsclient.Handle {
	e.Helper()
	n, err := e.c.Create(dir, name, nfsclient.Guarded, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0644)}, nil)
	e.want(err, 0, "CREATE "+name)
	return n.Handle
}

func (e *env) mkdir(dir nfsclient.Handle, name string) nfsclient.Handle {
	e.Helper()
	n, err := e.c.Mkdir(dir, name, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0755)})
	e.want(err, 0, "MKDIR "+name)
	return n.Handle
}

func TestEveryProcedureWorksOverTCP(t *testing.T) {
	onAllStores(t, func(e *env) {
		for _, step := range []struct {
			name string
			run  func(*env)
		}{
			{"NULL", func(e *env) { e.want(e.c.Null(), 0, "NULL") }},
			{"GETATTR", getattr}, {"SETATTR", setattr}, {"LOOKUP", lookup}, {"ACCESS", access},
			{"READLINK and SYMLINK", readlink}, {"READ and WRITE", readWrite}, {"COMMIT", commit},
			{"CREATE", create}, {"MKDIR and RMDIR", mkdirRmdir}, {"MKNOD", mknod}, {"REMOVE", remove},
			{"RENAME", rename}, {"LINK", link}, {"FSSTAT", fsstat}, {"FSINFO", fsinfo}, {"PATHCONF", pathconf},
		} {
			e.Run(step.name, func(t *testing.T) {
				n, err := e.c.Mkdir(e.root, strings.ReplaceAll(step.name, " ", "_"),
					nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0755)})
				if err != nil {
					t.Fatal(err)
				}
				step.run(&env{T: t, srv: e.srv, c: e.c, root: n.Handle})
			})
		}
	})
}

func getattr(e *env) {
	a := e.getattr(e.root)
	if a.Type != nfsclient.TypeDir || a.Mode != 0755 || a.Nlink != 2 ||
		a.FSID != uint64(e.srv.IDs["export"]) || a.FileID == 0 {
		e.Errorf("attributes of a new directory: %+v", *a)
	}
	if age := time.Since(time.Unix(int64(a.Mtime.Sec), int64(a.Mtime.Nsec))); age < 0 || age > time.Minute {
		e.Errorf("mtime is %v old", age)
	}
	_, err := e.c.GetAttr(nil)
	e.want(err, nfsclient.ErrBadHandle, "GETATTR of an empty handle")
	forged := slices.Clone(e.root)
	forged[len(forged)-1] ^= 1
	_, err = e.c.GetAttr(forged)
	e.want(err, nfsclient.ErrBadHandle, "GETATTR of a forged handle")
	_, err = e.c.GetAttr(make([]byte, 64))
	e.want(err, nfsclient.ErrBadHandle, "GETATTR of the longest handle")
	_, err = e.c.GetAttr(make([]byte, 65))
	e.wantRPC(err, 4, "GETATTR of a handle too long")
}

func setattr(e *env) {
	f := e.create(e.root, "f")
	set := nfsclient.SetAttr{
		Mode: nfsclient.Ptr[uint32](0640), UID: nfsclient.Ptr[uint32](7), GID: nfsclient.Ptr[uint32](8),
		Size:  nfsclient.Ptr[uint64](5000),
		Atime: &nfsclient.SetTime{Time: nfsclient.Time{Sec: 1, Nsec: 999999999}},
		Mtime: &nfsclient.SetTime{Time: nfsclient.Time{Sec: 1<<32 - 1, Nsec: 1}},
	}
	w, err := e.c.SetAttr(f, set, nil)
	e.want(err, 0, "SETATTR")
	e.wantWCC(w, f, true, "SETATTR")
	a := w.After
	if a.Mode != 0640 || a.UID != 7 || a.GID != 8 || a.Size != 5000 || a.Atime != set.Atime.Time ||
		a.Mtime != set.Mtime.Time {
		e.Errorf("attributes %+v", *a)
	}
	w, err = e.c.SetAttr(f, nfsclient.SetAttr{Mtime: &nfsclient.SetTime{Now: true}}, &a.Ctime)
	e.want(err, 0, "guarded SETATTR")
	if w.After.Mtime.Sec == 1<<32-1 || w.After.Atime != set.Atime.Time {
		e.Errorf("attributes %+v", *w.After)
	}
	w, err = e.c.SetAttr(f, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0777)}, &a.Ctime)
	e.want(err, nfsclient.ErrNotSync, "SETATTR with an old guard")
	e.wantWCC(w, f, false, "SETATTR with an old guard")
	w, err = e.c.SetAttr(f, nfsclient.SetAttr{Size: nfsclient.Ptr[uint64](1 << 63)}, nil)
	e.want(err, nfsclient.ErrFBig, "SETATTR beyond the largest size")
	e.wantWCC(w, f, false, "SETATTR beyond the largest size")
	w, err = e.c.SetAttr(f, nfsclient.SetAttr{Mtime: &nfsclient.SetTime{Time: nfsclient.Time{Nsec: 1e9}}}, nil)
	e.want(err, nfsclient.ErrInval, "SETATTR with a second of nanoseconds")
	e.wantWCC(w, f, false, "SETATTR with a second of nanoseconds")
	nobody := nfsclient.SetAttr{UID: nfsclient.Ptr[uint32](math.MaxUint32), GID: nfsclient.Ptr[uint32](math.MaxUint32)}
	_, err = e.c.SetAttr(f, nobody, nil)
	e.want(err, 0, "SETATTR of owner and group -1")
	if a := e.getattr(f); a.UID != 7 || a.GID != 8 {
		e.Errorf("SETATTR of owner and group -1 made it %d:%d", a.UID, a.GID)
	}
	for what, call := range map[string]func() (nfsclient.Node, error){
		"CREATE":  func() (nfsclient.Node, error) { return e.c.Create(e.root, "CREATE", nfsclient.Guarded, nobody, nil) },
		"MKDIR":   func() (nfsclient.Node, error) { return e.c.Mkdir(e.root, "MKDIR", nobody) },
		"SYMLINK": func() (nfsclient.Node, error) { return e.c.Symlink(e.root, "SYMLINK", "x", nobody) },
		"MKNOD":   func() (nfsclient.Node, error) { return e.c.Mknod(e.root, "MKNOD", nfsclient.TypeFIFO, nobody, 0, 0) },
	} {
		n, err := call()
		e.want(err, 0, what+" with owner and group -1")
		if n.Attr.UID != 0 || n.Attr.GID != 0 {
			e.Errorf("%s with owner and group -1 made %d:%d, want the caller's", what, n.Attr.UID, n.Attr.GID)
		}
	}
}

func lookup(e *env) {
	f := e.create(e.root, "f")
	n, err := e.c.Lookup(e.root, "f")
	e.want(err, 0, "LOOKUP")
	if !bytes.Equal(n.Handle, f) || n.Attr == nil || *n.Attr != *e.getattr(f) || n.Dir == nil ||
		*n.Dir != *e.getattr(e.root) {
		e.Errorf("LOOKUP: %+v", n)
	}
	for name, want := range map[string]nfsclient.Status{
		"none": nfsclient.ErrNoEnt, "": nfsclient.ErrAcces, "a/b": nfsclient.ErrAcces, "a\x00": nfsclient.ErrAcces,
		strings.Repeat("x", 255): nfsclient.ErrNoEnt, strings.Repeat("x", 256): nfsclient.ErrNameTooLong,
		strings.Repeat("x", 60000): nfsclient.ErrNameTooLong,
	} {
		n, err = e.c.Lookup(e.root, name)
		e.want(err, want, fmt.Sprintf("LOOKUP of %.10q", name))
		if n.Dir == nil || *n.Dir != *e.getattr(e.root) {
			e.Errorf("LOOKUP of %.10q: directory attributes are missing", name)
		}
	}
	_, err = e.c.Lookup(f, "x")
	e.want(err, nfsclient.ErrNotDir, "LOOKUP in a file")
	dot, err := e.c.Lookup(e.root, ".")
	e.want(err, 0, "LOOKUP of .")
	up, err := e.c.Lookup(e.root, "..")
	e.want(err, 0, "LOOKUP of ..")
	top := e.srv.Mount(e.c, "/export")
	upup, err := e.c.Lookup(top, "..")
	e.want(err, 0, "LOOKUP of .. in the share's root")
	if !bytes.Equal(dot.Handle, e.root) || !bytes.Equal(up.Handle, top) || !bytes.Equal(upup.Handle, top) {
		e.Error("dots lead elsewhere")
	}
}

func access(e *env) {
	f := e.create(e.root, "f")
	user := e.srv.Dial(nfsclient.Options{UID: 1000, GID: 1000})
	got, attr, err := user.Access(f, 0x3f)
	e.want(err, 0, "ACCESS")
	if got != 0x01 || attr == nil {
		e.Errorf("another user may %#x of a file of mode 0644", got)
	}
	if got, _, _ = e.c.Access(f, 0x0d); got != 0x0d {
		e.Errorf("root may %#x of what it asked", got)
	}
}

func readlink(e *env) {
	for _, target := range []string{"x", "../some/where", strings.Repeat("y", 4095)} {
		name := fmt.Sprint(len(target))
		n, err := e.c.Symlink(e.root, name, target, nfsclient.SetAttr{})
		e.want(err, 0, "SYMLINK")
		e.wantWCC(n.DirWCC, e.root, true, "SYMLINK")
		got, attr, err := e.c.Readlink(n.Handle)
		e.want(err, 0, "READLINK")
		if got != target || attr == nil || attr.Type != nfsclient.TypeLnk || attr.Size != uint64(len(target)) {
			e.Errorf("READLINK: %q, %+v", got, attr)
		}
	}
	n, err := e.c.Symlink(e.root, "long", strings.Repeat("y", 4097), nfsclient.SetAttr{})
	e.want(err, nfsclient.ErrNameTooLong, "SYMLINK with a long target")
	e.wantWCC(n.DirWCC, e.root, false, "SYMLINK with a long target")
	_, attr, err := e.c.Readlink(e.root)
	e.want(err, nfsclient.ErrInval, "READLINK of a directory")
	if attr == nil {
		e.Error("READLINK of a directory: no attributes")
	}
}

func readWrite(e *env) {
	f := e.create(e.root, "f")
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * 31)
	}
	for _, stable := range []uint32{nfsclient.Unstable, nfsclient.DataSync, nfsclient.FileSync} {
		r, err := e.c.Write(f, 0, data, stable)
		e.want(err, 0, "WRITE")
		if int(r.Count) != len(data) || r.Committed < stable {
			e.Errorf("WRITE of %d bytes as %d: %d bytes as %d", len(data), stable, r.Count, r.Committed)
		}
		e.wantWCC(r.WCC, f, true, "WRITE")
	}
	for _, tc := range []struct {
		off   uint64
		count uint32
		want  []byte
		eof   bool
	}{
		{0, 1 << 20, data, true}, {0, 10, data[:10], false}, {3, 100001, data[3:100004], false},
		{1<<20 - 1, 4096, data[1<<20-1:], true}, {1 << 20, 4096, nil, true}, {1 << 40, 1, nil, true},
		{1<<63 - 1, 1, nil, true}, {1 << 63, 1 << 31, nil, true}, {1<<64 - 1, 1<<32 - 1, nil, true},
		{5, 1<<32 - 1, data[5:], true}, {0, 0, nil, false},
	} {
		r, err := e.c.Read(f, tc.off, tc.count)
		e.want(err, 0, fmt.Sprintf("READ of %d at %d", tc.count, tc.off))
		if !bytes.Equal(r.Data, tc.want) || r.EOF != tc.eof || r.Attr == nil {
			e.Errorf("READ of %d at %d: %d bytes, eof %v", tc.count, tc.off, len(r.Data), r.EOF)
		}
	}
	r, err := e.c.Write(f, 3<<20, []byte("end"), nfsclient.FileSync)
	e.want(err, 0, "WRITE beyond the end")
	if hole, err := e.c.Read(f, 2<<20, 4096); err != nil || !bytes.Equal(hole.Data, make([]byte, 4096)) {
		e.Errorf("READ of a hole: %v", err)
	}
	for what, off := range map[string]uint64{"at 2^63": 1 << 63, "up to 2^63": 1<<63 - 1, "up to 2^64": 1<<64 - 2} {
		r, err = e.c.Write(f, off, []byte("xyz"), nfsclient.Unstable)
		e.want(err, nfsclient.ErrFBig, "WRITE "+what)
		e.wantWCC(r.WCC, f, false, "WRITE "+what)
	}
	big, err := e.c.Write(f, 0, make([]byte, 1<<20+4096), nfsclient.Unstable)
	if e.want(err, 0, "WRITE above wtmax"); big.Count != 1<<20 {
		e.Errorf("WRITE above wtmax: %d bytes", big.Count)
	}
	_, err = e.c.Read(e.root, 0, 10)
	e.want(err, nfsclient.ErrIsDir, "READ of a directory")
	_, err = e.c.Write(e.root, 0, []byte("x"), nfsclient.FileSync)
	e.want(err, nfsclient.ErrIsDir, "WRITE to a directory")
}

func commit(e *env) {
	f := e.create(e.root, "f")
	w, err := e.c.Write(f, 0, []byte("unstable"), nfsclient.Unstable)
	e.want(err, 0, "WRITE")
	for _, r := range [][2]uint64{{0, 0}, {0, 8}, {1 << 40, 1<<32 - 1}, {1<<63 - 1, 1<<32 - 1}} {
		c, err := e.c.Commit(f, r[0], uint32(r[1]))
		e.want(err, 0, "COMMIT")
		if c.Verifier != w.Verifier {
			e.Errorf("COMMIT's verifier %x, WRITE's %x", c.Verifier, w.Verifier)
		}
		e.wantWCC(c.WCC, f, false, "COMMIT")
	}
	c, err := e.c.Commit(f, 1<<63, 0)
	e.want(err, nfsclient.ErrInval, "COMMIT beyond the largest file")
	e.wantWCC(c.WCC, f, false, "COMMIT beyond the largest file")
}

func create(e *env) {
	set := nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0600), Size: nfsclient.Ptr[uint64](0)}
	n, err := e.c.Create(e.root, "f", nfsclient.Unchecked, set, nil)
	e.want(err, 0, "CREATE")
	e.wantWCC(n.DirWCC, e.root, true, "CREATE")
	if n.Attr == nil || *n.Attr != *e.getattr(n.Handle) || n.Attr.Mode != 0600 || n.Attr.Nlink != 1 {
		e.Errorf("CREATE: %+v", n.Attr)
	}
	again, err := e.c.Create(e.root, "f", nfsclient.Unchecked, set, nil)
	e.want(err, 0, "CREATE again")
	if !bytes.Equal(again.Handle, n.Handle) {
		e.Error("UNCHECKED made another file")
	}
	for _, name := range []string{"f", ".", ".."} {
		again, err = e.c.Create(e.root, name, nfsclient.Guarded, set, nil)
		e.want(err, nfsclient.ErrExist, "guarded CREATE of "+name)
		e.wantWCC(again.DirWCC, e.root, false, "guarded CREATE of "+name)
	}
	for name, want := range map[string]nfsclient.Status{
		"": nfsclient.ErrAcces, "a/b": nfsclient.ErrAcces, strings.Repeat("x", 256): nfsclient.ErrNameTooLong,
	} {
		again, err = e.c.Create(e.root, name, nfsclient.Unchecked, set, nil)
		e.want(err, want, fmt.Sprintf("CREATE of %.10q", name))
		e.wantWCC(again.DirWCC, e.root, false, fmt.Sprintf("CREATE of %.10q", name))
	}

	verf := []byte("\x01\x02\x03\x04\xff\xfe\xfd\xfc")
	x, err := e.c.Create(e.root, "x", nfsclient.Exclusive, nfsclient.SetAttr{}, verf)
	e.want(err, 0, "exclusive CREATE")
	retry, err := e.c.Create(e.root, "x", nfsclient.Exclusive, nfsclient.SetAttr{}, verf)
	e.want(err, 0, "exclusive CREATE again")
	if !bytes.Equal(retry.Handle, x.Handle) {
		e.Error("the retry of an EXCLUSIVE create made another file")
	}
	for i := range verf {
		other := slices.Clone(verf)
		other[i] ^= 0x80
		retry, err = e.c.Create(e.root, "x", nfsclient.Exclusive, nfsclient.SetAttr{}, other)
		e.want(err, nfsclient.ErrExist, fmt.Sprintf("exclusive CREATE with another byte %d", i))
		e.wantWCC(retry.DirWCC, e.root, false, "exclusive CREATE")
	}
}

func mkdirRmdir(e *env) {
	n, err := e.c.Mkdir(e.root, "d", nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0700)})
	e.want(err, 0, "MKDIR")
	e.wantWCC(n.DirWCC, e.root, true, "MKDIR")
	if a := e.getattr(e.root); a.Nlink != 3 || n.Attr == nil || n.Attr.Nlink != 2 || n.Attr.Mode != 0700 {
		e.Errorf("links %d and %+v", a.Nlink, n.Attr)
	}
	e.create(n.Handle, "f")
	w, err := e.c.Rmdir(e.root, "d")
	e.want(err, nfsclient.ErrNotEmpty, "RMDIR of a full directory")
	e.wantWCC(w, e.root, false, "RMDIR of a full directory")
	_, err = e.c.Remove(n.Handle, "f")
	e.want(err, 0, "REMOVE")
	w, err = e.c.Rmdir(e.root, "d")
	e.want(err, 0, "RMDIR")
	e.wantWCC(w, e.root, true, "RMDIR")
	_, err = e.c.GetAttr(n.Handle)
	e.want(err, nfsclient.ErrStale, "GETATTR of what was removed")
	_, err = e.c.Rmdir(e.root, ".")
	e.want(err, nfsclient.ErrInval, "RMDIR of .")
	e.create(e.root, "f")
	_, err = e.c.Rmdir(e.root, "f")
	e.want(err, nfsclient.ErrNotDir, "RMDIR of a file")
}

func mknod(e *env) {
	for name, typ := range map[string]uint32{
		"fifo": nfsclient.TypeFIFO, "sock": nfsclient.TypeSock, "chr": nfsclient.TypeChr, "blk": nfsclient.TypeBlk,
	} {
		n, err := e.c.Mknod(e.root, name, typ, nfsclient.SetAttr{Mode: nfsclient.Ptr[uint32](0666)}, 1<<20-1, 1<<20-2)
		e.want(err, 0, "MKNOD "+name)
		e.wantWCC(n.DirWCC, e.root, true, "MKNOD "+name)
		if n.Attr.Type != typ || n.Attr.Mode != 0666 {
			e.Errorf("MKNOD %s: %+v", name, *n.Attr)
		}
		if (typ == nfsclient.TypeChr || typ == nfsclient.TypeBlk) && (n.Attr.Major != 1<<20-1 || n.Attr.Minor != 1<<20-2) {
			e.Errorf("MKNOD %s: device %d,%d", name, n.Attr.Major, n.Attr.Minor)
		}
		_, err = e.c.Read(n.Handle, 0, 1)
		e.want(err, nfsclient.ErrInval, "READ of a special file")
	}
	for _, typ := range []uint32{0, nfsclient.TypeReg, nfsclient.TypeDir, nfsclient.TypeLnk, 8, 1<<32 - 1} {
		n, err := e.c.Mknod(e.root, "x", typ, nfsclient.SetAttr{}, 0, 0)
		e.want(err, nfsclient.ErrBadType, fmt.Sprintf("MKNOD of type %d", typ))
		e.wantWCC(n.DirWCC, e.root, false, "MKNOD")
	}
}

func remove(e *env) {
	f := e.create(e.root, "f")
	w, err := e.c.Remove(e.root, "f")
	e.want(err, 0, "REMOVE")
	e.wantWCC(w, e.root, true, "REMOVE")
	_, err = e.c.GetAttr(f)
	e.want(err, nfsclient.ErrStale, "GETATTR of what was removed")
	w, err = e.c.Remove(e.root, "f")
	e.want(err, nfsclient.ErrNoEnt, "REMOVE of nothing")
	e.wantWCC(w, e.root, false, "REMOVE of nothing")
	w, err = e.c.Remove(e.root, "")
	e.want(err, nfsclient.ErrAcces, "REMOVE without a name")
	e.wantWCC(w, e.root, false, "REMOVE without a name")
	e.mkdir(e.root, "d")
	_, err = e.c.Remove(e.root, "d")
	e.want(err, nfsclient.ErrIsDir, "REMOVE of a directory")
}

func rename(e *env) {
	a, b := e.mkdir(e.root, "a"), e.mkdir(e.root, "b")
	f, old := e.create(a, "f"), e.create(b, "g")
	from, to, err := e.c.Rename(a, "f", b, "g")
	e.want(err, 0, "RENAME")
	e.wantWCC(from, a, true, "RENAME from")
	e.wantWCC(to, b, true, "RENAME to")
	if n, err := e.c.Lookup(b, "g"); err != nil || !bytes.Equal(n.Handle, f) {
		e.Errorf("LOOKUP after RENAME: %v", err)
	}
	_, err = e.c.GetAttr(old)
	e.want(err, nfsclient.ErrStale, "GETATTR of what was renamed over")
	from, to, err = e.c.Rename(a, "f", b, "g")
	e.want(err, nfsclient.ErrNoEnt, "RENAME of nothing")
	e.wantWCC(from, a, false, "RENAME of nothing, from")
	e.wantWCC(to, b, false, "RENAME of nothing, to")
	from, to, err = e.c.Rename(a, "f", b, "x/y")
	e.want(err, nfsclient.ErrAcces, "RENAME to a bad name")
	e.wantWCC(from, a, false, "RENAME to a bad name, from")
	e.wantWCC(to, b, false, "RENAME to a bad name, to")
	e.mkdir(a, "sub")
	_, _, err = e.c.Rename(e.root, "a", a, "inside")
	e.want(err, nfsclient.ErrInval, "RENAME of a directory into itself")
	_, _, err = e.c.Rename(a, ".", b, "dot")
	e.want(err, nfsclient.ErrInval, "RENAME of .")
}

func link(e *env) {
	f := e.create(e.root, "f")
	attr, w, err := e.c.Link(f, e.root, "hard")
	e.want(err, 0, "LINK")
	e.wantWCC(w, e.root, true, "LINK")
	if attr == nil || attr.Nlink != 2 || *attr != *e.getattr(f) {
		e.Errorf("LINK: %+v", attr)
	}
	attr, w, err = e.c.Link(f, e.root, "hard")
	e.want(err, nfsclient.ErrExist, "LINK to a name that exists")
	e.wantWCC(w, e.root, false, "LINK to a name that exists")
	if attr == nil {
		e.Error("LINK to a name that exists: no attributes")
	}
	attr, w, err = e.c.Link(f, e.root, "")
	e.want(err, nfsclient.ErrAcces, "LINK without a name")
	if attr == nil {
		e.Error("LINK without a name: no attributes")
	}
	e.wantWCC(w, e.root, false, "LINK without a name")
}
