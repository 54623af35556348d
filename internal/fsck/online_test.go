package fsck_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/pebble"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

// far is a content store that is not on this machine.
type far struct{ content.Store }

func TestACheckOfARunningServerTakesNothingInFlightForAFault(t *testing.T) {
	for name, c := range map[string]struct{ far, remote bool }{"near": {}, "far": {far: true}, "far and remote": {true, true}} {
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
	m.data, err = data.Open(t.Context(), data.Options{
		Dir: filepath.Join(m.dir, "cache"), CacheSize: 2 << 20, SegmentSize: 256 << 10, Content: objects, Log: m.log,
		Instance: instance, Logger: slog.New(slog.DiscardHandler), Remote: remote, CachePages: isFar, PageSize: 64 << 10,
		SealAfter: 5 * time.Millisecond, CheckpointEvery: 5 * time.Millisecond, DeleteAfter: time.Millisecond, Garbage: 0.05,
	})
	m.must(err)
	m.fs, err = vfs.Open(t.Context(), vfs.Options{Log: m.log, Data: m.data, Logger: slog.New(slog.DiscardHandler), Remote: remote})
	m.must(err)
	defer m.stop()
	ids, err := m.fs.EnsureShares(t.Context(), []config.Share{{Name: "main", Path: "/main", Root: config.Root{Mode: "0755"}}})
	m.must(err)
	m.top, err = m.fs.Root(ids["main"])
	m.must(err)

	var writers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for w := range 4 {
		writers.Go(func() { m.churn(ctx, uint64(w)) })
	}
	source := &data.Source{Dir: filepath.Join(m.dir, "cache"), Content: objects, Instance: instance, CachePages: isFar}
	checks, end := 0, time.Now().Add(3*time.Second)
	for checks < 4 || time.Now().Before(end) {
		m.checkOnline(source, checks%2 == 1)
		checks++
	}
	stop()
	writers.Wait()
	s := m.data.Stats()
	t.Logf("%d checks; %+v", checks, s)
}

// checkOnline checks over a snapshot, as the operation of the server does.
func (m *image) checkOnline(source *data.Source, deep bool) {
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
}

// churn makes, overwrites, truncates, renames and removes files of its own.
func (m *image) churn(ctx context.Context, w uint64) {
	rng := rand.New(rand.NewPCG(w, 1))
	req := &vfs.Request{Context: context.Background()}
	dir, _, err := m.fs.Mkdir(req, m.top, fmt.Sprint("w", w), vfs.SetAttr{})
	for ctx.Err() == nil && err == nil {
		name := fmt.Sprint("f", rng.IntN(8))
		a, _, lookErr := m.fs.Lookup(req, dir.ID, name)
		switch n := rng.IntN(10); {
		case lookErr != nil:
			_, _, err = m.fs.Create(req, dir.ID, name, vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
		case n == 0:
			_, err = m.fs.Remove(req, dir.ID, name)
		case n == 1:
			size := rng.Uint64N(200_000)
			_, err = m.fs.SetAttr(req, a.ID, vfs.SetAttr{Size: &size}, nil)
		case n == 2:
			_, _, err = m.fs.Rename(req, dir.ID, name, dir.ID, "renamed")
		case n == 3:
			_, _, err = m.fs.Write(req, a.ID, rng.Uint64N(100_000), make([]byte, 40_000), vfs.FileSync)
		default:
			_, _, err = m.fs.Write(req, a.ID, rng.Uint64N(100_000), make([]byte, 1+rng.IntN(60_000)), vfs.Unstable)
		}
		if err == vfs.EJUKEBOX || err == vfs.ENOSPC {
			err = nil // the cache is full for a moment
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
