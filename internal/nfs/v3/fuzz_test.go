package v3_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/dittofs/dittofs/internal/nfs/nfstest"
	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// FuzzCall makes calls of any procedure with any arguments behind a valid
// handle: each is answered, none by SYSTEM_ERR, which is what a panic becomes,
// and with a status that RFC 1813 has.
func FuzzCall(f *testing.F) {
	srv := nfstest.Start(f, nfstest.Memory, config.Share{Name: "export"})
	c := srv.Dial(nfsclient.Options{})
	root := srv.Mount(c, "/export")
	n, err := c.Create(root, "f", nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	seed := func(proc uint32, put func(*xdr.Encoder)) {
		var e xdr.Encoder
		put(&e)
		f.Add(proc, true, e.Bytes())
		f.Add(proc, false, e.Bytes())
	}
	for proc := range uint32(23) {
		seed(proc, func(*xdr.Encoder) {})
		seed(proc, func(e *xdr.Encoder) { e.String("name"); e.Append(make([]byte, 40)) })
	}
	seed(nfsclient.ProcRead, func(e *xdr.Encoder) { e.Uint64(1 << 63); e.Uint32(1 << 31) })
	seed(nfsclient.ProcWrite, func(e *xdr.Encoder) { e.Uint64(5); e.Uint32(3); e.Uint32(2); e.Opaque([]byte("abc")) })
	seed(nfsclient.ProcReaddirPlus, func(e *xdr.Encoder) { e.Uint64(1); e.Uint64(0); e.Uint32(4096); e.Uint32(4096) })
	f.Fuzz(func(t *testing.T, proc uint32, dir bool, rest []byte) {
		var e xdr.Encoder
		if dir {
			e.Opaque(root)
		} else {
			e.Opaque(n.Handle)
		}
		e.Append(rest)
		res, err := c.Call(nfsclient.ProgramNFS, 3, proc, e.Bytes())
		var refused *nfsclient.RPCError
		if err != nil && (!errors.As(err, &refused) || refused.Denied || refused.Stat == 5) {
			t.Fatalf("procedure %d: %v", proc, err)
		}
		if err != nil || proc == 0 { // NULL has no results
			return
		}
		d := xdr.NewDecoder(res)
		if status := nfsclient.Status(d.Uint32()); d.Err() != nil || !slices.Contains(statuses, status) {
			t.Fatalf("procedure %d: status %d of %d bytes, %v", proc, uint32(status), len(res), d.Err())
		}
	})
}

// statuses are what calls of this share may be told: it is not read-only, and no disk fails.
var statuses = []nfsclient.Status{
	0, nfsclient.ErrPerm, nfsclient.ErrNoEnt, nfsclient.ErrAcces, nfsclient.ErrExist, nfsclient.ErrXDev,
	nfsclient.ErrNotDir, nfsclient.ErrIsDir,
	nfsclient.ErrInval, nfsclient.ErrFBig, nfsclient.ErrNoSpc, nfsclient.ErrNameTooLong, nfsclient.ErrNotEmpty,
	nfsclient.ErrDQuot, nfsclient.ErrStale,
	nfsclient.ErrBadHandle, nfsclient.ErrNotSync, nfsclient.ErrBadCookie, nfsclient.ErrTooSmall, nfsclient.ErrBadType,
	nfsclient.ErrJukebox,
}
