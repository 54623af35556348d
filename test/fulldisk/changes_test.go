package fulldisk

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

const (
	depth  = 128 // calls outstanding
	noneOf = 1 << 30
)

// calls are many calls of one procedure and how they were answered.
type calls struct {
	proc     uint32
	n        int // at most
	args     func(i int, e *xdr.Encoder)
	untilNot bool // end with the first that fails
	until    time.Time
	i        int
	ended    bool
	answers  map[nfsclient.Status]int
}

// Next implements nfsclient.Load.
func (c *calls) Next(_ int, e *xdr.Encoder) (uint32, bool) {
	if c.i >= c.n || c.ended || time.Now().After(c.until) {
		return 0, false
	}
	c.args(c.i, e)
	c.i++
	return c.proc, true
}

// Done implements nfsclient.Load.
func (c *calls) Done(_ int, d *xdr.Decoder) error {
	status := nfsclient.Status(d.Uint32())
	c.answers[status]++
	c.ended = c.ended || c.untilNot && status != 0
	return d.Err()
}

// many makes the calls for so long at most. Each must be answered, with one of the statuses.
func many(t *testing.T, s *process.Server, what string, lasting time.Duration, c *calls, allowed ...nfsclient.Status) {
	t.Helper()
	p, err := nfsclient.DialPipeline(s.NFS, nfsclient.Options{Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	began := time.Now()
	c.until, c.answers = began.Add(lasting), map[nfsclient.Status]int{}
	_, err = p.Run(depth, c)
	t.Logf("%s: %v in %v", what, c.answers, time.Since(began).Round(time.Millisecond))
	for _, status := range append(allowed, 0) {
		delete(c.answers, status)
	}
	if err != nil || len(c.answers) > 0 || !s.Ready() {
		log := s.Log()
		t.Fatalf("%s: %v, %v; ready: %v; the server's log ends:\n%s",
			what, err, c.answers, s.Ready(), log[max(0, len(log)-3000):])
	}
}

// TestChangesWithoutEndLeaveRoomForRemovals fills a disk with names alone, and changes them over and over: tables and
// logs of the metadata are all that grows.
func TestChangesWithoutEndLeaveRoomForRemovals(t *testing.T) {
	stores, _ := onOneDisk(t, disk)
	s, f := serve(t, process.BuildFor(t), stores)
	top, err := f.Client.Mkdir(f.Root, "top", nfsclient.SetAttr{})
	if err != nil {
		t.Fatal(err)
	}
	// Names that do not compress.
	name := func(prefix string, i int) string {
		pad := make([]byte, 180)
		_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}).Read(pad) // never fails
		return fmt.Sprint(prefix, i, base64.RawURLEncoding.EncodeToString(pad))
	}
	named := func(e *xdr.Encoder, prefix string, i int) {
		e.Opaque(top.Handle)
		e.String(name(prefix, i))
	}
	nothing := func(e *xdr.Encoder, words int) {
		for range words {
			e.Uint32(0)
		}
	}
	filled := &calls{proc: nfsclient.ProcCreate, n: noneOf, untilNot: true, args: func(i int, e *xdr.Encoder) {
		named(e, "a", i)
		nothing(e, 1+6)
	}}
	many(t, s, "CREATE until the disk is full", time.Minute, filled, nfsclient.ErrNoSpc)
	if !filled.ended {
		t.Fatal("the disk did not fill")
	}
	n := filled.i
	kept, err := f.Client.Lookup(top.Handle, name("a", 0))
	if err != nil {
		t.Fatal(err)
	}
	// Not in the order of the keys, so that each table that is written overlaps with all others.
	const renamed = 30_000
	nth := func(i int) int { return i * 7919 % n }
	for round := range 4 {
		from, to := "a", "b"
		if round%2 == 1 {
			from, to = to, from
		}
		many(t, s, fmt.Sprint("RENAME, round ", round), 3*time.Second,
			&calls{proc: nfsclient.ProcRename, n: renamed, args: func(i int, e *xdr.Encoder) {
				named(e, from, nth(i))
				named(e, to, nth(i))
			}}, nfsclient.ErrNoSpc, nfsclient.ErrNoEnt)
	}
	many(t, s, "SETATTR", time.Second, &calls{proc: nfsclient.ProcSetAttr, n: noneOf, args: func(i int, e *xdr.Encoder) {
		e.Opaque(kept.Handle)
		e.Uint32(1)
		e.Uint32(uint32(0o600 + i%64))
		nothing(e, 6)
	}}, nfsclient.ErrNoSpc)
	for range 2 {
		many(t, s, "MKDIR", time.Second, &calls{proc: nfsclient.ProcMkdir, n: 2000, args: func(i int, e *xdr.Encoder) {
			named(e, "d", i)
			nothing(e, 6)
		}}, nfsclient.ErrNoSpc, nfsclient.ErrExist)
		many(t, s, "LINK", time.Second, &calls{proc: nfsclient.ProcLink, n: 2000, args: func(i int, e *xdr.Encoder) {
			e.Opaque(kept.Handle)
			named(e, "l", i)
		}}, nfsclient.ErrNoSpc, nfsclient.ErrExist)
		many(t, s, "RMDIR", 10*time.Second, &calls{
			proc: nfsclient.ProcRmdir, n: 2000, args: func(i int, e *xdr.Encoder) { named(e, "d", i) },
		},
			nfsclient.ErrNoEnt)
		many(t, s, "REMOVE of links", 10*time.Second, &calls{
			proc: nfsclient.ProcRemove, n: 2000, args: func(i int, e *xdr.Encoder) { named(e, "l", i) },
		},
			nfsclient.ErrNoEnt)
	}
	for prefix, n := range map[string]int{"a": n, "b": renamed} {
		many(t, s, "REMOVE of "+prefix, 2*time.Minute, &calls{
			proc: nfsclient.ProcRemove, n: n, args: func(i int, e *xdr.Encoder) { named(e, prefix, nth(i)) },
		},
			nfsclient.ErrNoEnt)
	}
	for _, complaint := range []string{"cannot flush or compact", "metadata store failed"} {
		if log := s.Log(); strings.Contains(log, complaint) {
			t.Errorf("the log says: %s", log)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		after, err := f.Client.Create(f.Root, "after", nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
		if err == nil {
			_, err = f.Client.Write(after.Handle, 0, make([]byte, 1<<20), nfsclient.FileSync)
		}
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("after the removals: ", err)
		}
	}
}
