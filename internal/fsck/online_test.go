package fsck_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/pebble"
	"github.com/dittofs/dittofs/internal/vfs"
)

// far is a content store that is not on this machine.
type far struct{ content.Store }

func TestACheckOfARunningServerTakesNothingInFlightForAFault(t *testing.T) {
	for name, c := range map[string]struct{ far, remote bool }{
		"near": {}, "far": {far: true}, "far and remote": {true, true},
	} {
		t.Run(name, func(t *testing.T) { checkUnderLoad(t, c.far, c.remote) })
	}
}

func checkUnderLoad(t *testing.T, isFar, remote bool) {
	m := &image{t: t, dir: t.TempDir()}
	store, err := pebble.Open(filepath.Join(m.dir, "metadata"), pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	m.must(err)
	m.log = commit.New(context.Background(), store)
	defer m.log.Close()
	var objects content.Store = m.objects()
	if isFar {
		objects = far{objects}
	}
	// Everything moves: segments of 256 KiB, in a cache that holds few.
	opts := data.Options{
		Dir: filepath.Join(m.dir, "cache"), CacheSize: 2 << 20, SegmentSize: 256 << 10, Content: objects, Log: m.log,
		Instance: instance, Logger: slog.New(slog.DiscardHandler), Remote: remote, CachePages: isFar, PageSize: 64 << 10,
		SealAfter: 5 * time.Millisecond, CheckpointEvery: 5 * time.Millisecond, DeleteAfter: time.Millisecond, Garbage: 0.05,
	}
	m.fs, err = vfs.Open(t.Context(), vfs.Options{
		Log: m.log, Data: opts.Opener(t.Context()), Logger: slog.New(slog.DiscardHandler), Remote: remote,
	})
	m.must(err)
	m.data = m.fs.Data()
	defer m.stop()
	ids, err := m.fs.EnsureShares(t.Context(), []vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	m.must(err)
	m.top, err = m.fs.Root(ids["main"])
	m.must(err)

	var writers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer writers.Wait()
	defer stop()
	var done work
	for w := range 4 {
		writers.Go(func() { m.churn(ctx, uint64(w), &done) })
	}
	source := &segments.Source{Dir: filepath.Join(m.dir, "cache"), Content: objects, Instance: instance, CachePages: isFar}
	checks, extents, began := 0, uint64(0), time.Now()
	// What a check could take for a fault has to happen while it runs: each thing at least ten times, and for three
	// seconds.
	for missing := "all"; missing != ""; {
		extents += m.checkOnline(source, checks%2 == 1)
		checks++
		s := m.data.Stats()
		missing = done.missing()
		for what, n := range map[string]uint64{
			"sealed segments": s.Sealed, "stored segments": s.Stored, "deleted segments": s.Deleted,
			"compacted segments":        s.Compacted,
			"extents that were checked": extents, "checks": uint64(checks) * 2,
		} {
			if n < 10 {
				missing = what
			}
		}
		switch elapsed := time.Since(began); {
		case elapsed > 2*time.Minute && missing != "":
			t.Fatalf("too few %s in %v and %d checks: %+v", missing, elapsed, checks, s)
		case elapsed < 3*time.Second && missing == "":
			missing = "time"
		}
	}
	t.Logf("%d checks of %d extents in all; %+v", checks, extents, m.data.Stats())
}

// work counts what writers have done.
type work struct{ creates, removes, truncates, renames, stable, unstable atomic.Uint64 }

// missing names what was done too seldom, if anything.
func (d *work) missing() string {
	for what, n := range map[string]*atomic.Uint64{
		"creates": &d.creates, "removes": &d.removes, "truncates": &d.truncates, "renames": &d.renames,
		"stable writes": &d.stable, "unstable writes": &d.unstable,
	} {
		if n.Load() < 10 {
			return what
		}
	}
	return ""
}

// checkOnline checks over a snapshot, as the operation of the server does, and returns how many extents it has seen.
func (m *image) checkOnline(source *segments.Source, deep bool) uint64 {
	m.t.Helper()
	snap, err := m.log.Snapshot(m.t.Context())
	m.must(err)
	run := fsck.Check
	if deep {
		run = fsck.Scrub
	}
	r := &report{}
	_, err = run(m.t.Context(), fsck.Options{Meta: snap, Current: m.log, Source: source}, r.take)
	m.must(errors.Join(err, snap.Close()))
	if !r.Clean || r.Notes > 0 {
		m.t.Fatalf("deep %v: %v", deep, r)
	}
	return uint64(r.Extents)
}

// churn makes, overwrites, truncates, renames and removes files of its own.
func (m *image) churn(ctx context.Context, w uint64, done *work) {
	rng := rand.New(rand.NewPCG(w, 1))
	req := &vfs.Request{Context: context.Background()}
	dir, _, err := m.fs.Mkdir(req, m.top, fmt.Sprint("w", w), vfs.SetAttr{})
	for ctx.Err() == nil && err == nil {
		name := fmt.Sprint("f", rng.IntN(8))
		a, _, lookErr := m.fs.Lookup(req, dir.ID, name)
		count := &done.unstable
		switch n := rng.IntN(10); {
		case lookErr != nil:
			count = &done.creates
			_, _, err = m.fs.Create(req, dir.ID, name, vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
		case n == 0:
			count = &done.removes
			_, err = m.fs.Remove(req, dir.ID, name)
		case n == 1:
			count = &done.truncates
			size := rng.Uint64N(200_000)
			_, err = m.fs.SetAttr(req, a.ID, vfs.SetAttr{Size: &size}, nil)
		case n == 2:
			count = &done.renames
			_, _, err = m.fs.Rename(req, dir.ID, name, dir.ID, "renamed")
		case n == 3:
			count = &done.stable
			_, _, err = m.fs.Write(req, a.ID, rng.Uint64N(100_000), make([]byte, 40_000), vfs.FileSync)
		default:
			_, _, err = m.fs.Write(req, a.ID, rng.Uint64N(100_000), make([]byte, 1+rng.IntN(60_000)), vfs.Unstable)
		}
		if err == vfs.EJUKEBOX || err == vfs.ENOSPC {
			err = nil // the cache is full for a moment
		} else {
			count.Add(1)
		}
	}
	if err != nil {
		m.t.Errorf("writer: %v", err)
	}
}

func TestDamageUnderARunningServerIsFound(t *testing.T) {
	m := newImage(t)
	_, segment, _ := m.place(m.extents("/a/b/two")[0])
	file, _, _ := m.place(m.extents("/a/b/one")[0])
	m.flip(file, -60)
	m.put(key('G', be(segment)), be(3))
	snap, err := m.meta.Snapshot(t.Context())
	m.must(err)
	o := m.options()
	o.Meta, o.Current = snap, m.meta
	r := &report{}
	_, err = fsck.Check(t.Context(), o, r.take)
	m.must(errors.Join(err, snap.Close()))
	if r.Kinds["live-bytes"] != 1 || r.Kinds["segment-footer"] < 2 {
		t.Errorf("%v", r)
	}
}
