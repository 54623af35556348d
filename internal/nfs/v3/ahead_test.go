package v3_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/nfs/nfstest"
	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// asked is a list of calls, one for each slot, and their results.
type asked struct {
	procs   []uint32
	args    [][]byte
	results [][]byte
	next    int
}

func (a *asked) add(proc uint32, put func(*xdr.Encoder)) {
	var e xdr.Encoder
	put(&e)
	a.procs, a.args = append(a.procs, proc), append(a.args, e.Bytes())
}

func (a *asked) Next(slot int, args *xdr.Encoder) (uint32, bool) {
	if a.next == len(a.procs) {
		return 0, false
	}
	a.next++
	args.Append(a.args[slot])
	return a.procs[slot], true
}

func (a *asked) Done(slot int, results *xdr.Decoder) error {
	a.results[slot] = slices.Clone(results.Rest())
	return nil
}

// Calls that arrive together, good ones and bad ones, are answered as each would be alone.
func TestCallsThatComeTogetherAreAnsweredAsAlone(t *testing.T) {
	onAllStores(t, func(e *env) {
		var files []nfsclient.Handle
		for i := range 10 {
			files = append(files, e.create(e.root, fmt.Sprint("f", i)))
		}
		forged := slices.Clone(files[0])
		forged[15]++ // another inode
		var a asked
		for i, h := range append(slices.Clone(files), forged, files[0][:20], nil, bytes.Repeat([]byte{7}, 64)) {
			a.add(nfsclient.ProcGetAttr, func(x *xdr.Encoder) { x.Opaque(h) })
			a.add(nfsclient.ProcAccess, func(x *xdr.Encoder) { x.Opaque(h); x.Uint32(63) })
			a.add(nfsclient.ProcLookup, func(x *xdr.Encoder) { x.Opaque(e.root); x.String(fmt.Sprint("f", i)) })
			a.add(nfsclient.ProcLookup, func(x *xdr.Encoder) { x.Opaque(h); x.String("f") })
		}
		a.add(nfsclient.ProcLookup, func(x *xdr.Encoder) { x.Opaque(e.root); x.String(strings.Repeat("x", 300)) })
		a.add(nfsclient.ProcLookup, func(x *xdr.Encoder) { x.Opaque(e.root); x.String("") })
		a.add(nfsclient.ProcFSInfo, func(x *xdr.Encoder) { x.Opaque(e.root) })

		c, srv := e.c, e.srv
		for round := range 3 {
			if round == 1 && srv.Kind() == nfstest.Pebble { // nothing is in memory, not even in the cache
				srv = srv.Restart(config.Share{Name: "export"})
				c = srv.Dial(nfsclient.Options{})
			}
			p, err := nfsclient.DialPipeline(srv.Addr, nfsclient.Options{})
			if err != nil {
				e.Fatal(err)
			}
			defer p.Close()
			a.next, a.results = 0, make([][]byte, len(a.procs))
			if n, err := p.Run(len(a.procs), &a); err != nil || n != len(a.procs) {
				e.Fatalf("%d of %d calls: %v", n, len(a.procs), err)
			}
			done := 0
			for _, together := range a.results {
				if d := xdr.NewDecoder(together); d.Uint32() == 0 && d.Err() == nil {
					done++
				}
			}
			// GETATTR, ACCESS and LOOKUP of each file, and FSINFO: refusals are easily the same
			if want := 10*3 + 1; done != want {
				e.Errorf("round %d: %d calls succeeded, want %d", round, done, want)
			}
			for i, together := range a.results {
				alone, err := c.Call(nfsclient.ProgramNFS, 3, a.procs[i], a.args[i])
				if err != nil || !bytes.Equal(alone, together) {
					e.Errorf("round %d, call %d, procedure %d: % x together, % x alone (%v)",
						round, i, a.procs[i], together, alone, err)
				}
			}
		}
	})
}
