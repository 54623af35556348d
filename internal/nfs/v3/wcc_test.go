package v3_test

import (
	"testing"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// TestWCCDataSaysWhatWasBefore compares with what GETATTR said before each
// change: a client that is told other times takes its cache for outdated, or
// another's change for its own.
func TestWCCDataSaysWhatWasBefore(t *testing.T) {
	onAllStores(t, func(e *env) {
		d := e.mkdir(e.root, "d")
		f, other := e.create(d, "f"), e.mkdir(d, "other")
		_, err := e.c.Write(f, 0, []byte("of some size"), nfsclient.FileSync)
		e.want(err, 0, "WRITE")
		past := nfsclient.SetAttr{Mtime: &nfsclient.SetTime{Time: nfsclient.Time{Sec: 12, Nsec: 34}}}
		_, err = e.c.SetAttr(f, past, nil) // so that mtime and ctime differ
		e.want(err, 0, "SETATTR")
		_, err = e.c.SetAttr(d, past, nil)
		e.want(err, 0, "SETATTR")
		of := func(n nfsclient.Node, err error) (nfsclient.WCC, error) { return n.DirWCC, err }
		for _, step := range []struct {
			proc string
			of   nfsclient.Handle
			call func() (nfsclient.WCC, error)
		}{
			{"COMMIT", f, func() (nfsclient.WCC, error) { r, err := e.c.Commit(f, 0, 0); return r.WCC, err }},
			{"WRITE", f, func() (nfsclient.WCC, error) {
				r, err := e.c.Write(f, 7, []byte("longer than that"), 2)
				return r.WCC, err
			}},
			{"SETATTR", f, func() (nfsclient.WCC, error) {
				return e.c.SetAttr(f, nfsclient.SetAttr{Size: nfsclient.Ptr[uint64](3)}, nil)
			}},
			{"CREATE", d, func() (nfsclient.WCC, error) {
				return of(e.c.Create(d, "c", nfsclient.Guarded, nfsclient.SetAttr{}, nil))
			}},
			{"MKDIR", d, func() (nfsclient.WCC, error) { return of(e.c.Mkdir(d, "m", nfsclient.SetAttr{})) }},
			{"SYMLINK", d, func() (nfsclient.WCC, error) { return of(e.c.Symlink(d, "s", "x", nfsclient.SetAttr{})) }},
			{"MKNOD", d, func() (nfsclient.WCC, error) {
				return of(e.c.Mknod(d, "p", nfsclient.TypeFIFO, nfsclient.SetAttr{}, 0, 0))
			}},
			{"LINK", d, func() (nfsclient.WCC, error) { _, w, err := e.c.Link(f, d, "l"); return w, err }},
			{"RENAME from", d, func() (nfsclient.WCC, error) { w, _, err := e.c.Rename(d, "l", other, "l"); return w, err }},
			{"RENAME to", d, func() (nfsclient.WCC, error) { _, w, err := e.c.Rename(other, "l", d, "l"); return w, err }},
			{"REMOVE", d, func() (nfsclient.WCC, error) { return e.c.Remove(d, "l") }},
			{"RMDIR", d, func() (nfsclient.WCC, error) { return e.c.Rmdir(d, "m") }},
		} {
			was := e.getattr(step.of)
			want := nfsclient.WCCAttr{Size: was.Size, Mtime: was.Mtime, Ctime: was.Ctime}
			w, err := step.call()
			e.want(err, 0, step.proc)
			if w.Before == nil || *w.Before != want {
				e.Errorf("%s: before %+v, GETATTR said %+v", step.proc, w.Before, want)
			}
			e.wantWCC(w, step.of, step.proc != "COMMIT", step.proc)
		}
	})
}
