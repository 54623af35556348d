package vfs_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	contentmemory "github.com/dittofs/dittofs/internal/content/memory"
	"github.com/dittofs/dittofs/internal/content/s3"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
	"github.com/dittofs/dittofs/internal/meta/backends"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/paircache"
	"github.com/dittofs/dittofs/internal/space"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/layout"
	"github.com/dittofs/dittofs/internal/vfs/vfstest"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/pgserver"
	"github.com/dittofs/dittofs/test/s3server"
)

// stores is a combination of metadata and content store.
type stores struct {
	metadata config.MetadataType
	content  config.ContentType
	// busy makes small segments that are sealed, handed off and deleted while
	// a test runs, and caches that hold next to nothing. Without it data
	// moves only when the test says so.
	busy bool
	// remote is durability "remote": a crash takes the cache directory too.
	remote bool
}

func (s stores) String() string {
	name := string(s.metadata) + "-" + string(s.content)
	if s.busy {
		name += "-busy"
	}
	if s.remote {
		name += "-remote"
	}
	return name
}

var (
	inMemory = stores{metadata: config.MetadataMemory, content: config.ContentMemory}
	onDisk   = stores{metadata: config.MetadataPebble, content: config.ContentFilesystem}
)

// combinations are those that the suite runs over: every pair, and some of them
// with everything on the move, or with durability "remote".
var combinations = func() (all []stores) {
	for _, b := range backends.All() {
		for _, c := range []config.ContentType{config.ContentMemory, config.ContentFilesystem, config.ContentS3} {
			all = append(all, stores{metadata: config.MetadataType(b.Name), content: c})
		}
	}
	return append(all,
		stores{metadata: config.MetadataPebble, content: config.ContentFilesystem, busy: true},
		stores{metadata: config.MetadataPebble, content: config.ContentS3, busy: true},
		stores{metadata: config.MetadataPebble, content: config.ContentS3, remote: true},
		stores{metadata: config.MetadataPebble, content: config.ContentFilesystem, busy: true, remote: true})
}()

// lasting says whether the metadata outlives the process.
func (s stores) lasting() bool { return !s.backend().Volatile }

func (s stores) backend() backend.Backend { return backend.Find(backends.All(), string(s.metadata)) }

// home is what outlives the process of an instance.
type home struct {
	stores
	dir      string
	instance string
	objects  content.Store // in memory: it stays where it is
	s3       s3.Options
	dsn      string // file of the database
	// failing, if set, stands before the metadata store.
	failing  func(meta.Store) meta.Store
	reserve  *space.Reserve                         // nil: none
	capacity func() (total, free uint64, err error) // nil: no bounds
}

func (s stores) open(t testing.TB) vfstest.Instance {
	t.Helper()
	return s.home(t).open(t)
}

// home is a new, empty one.
func (s stores) home(t testing.TB) home {
	t.Helper()
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	h := home{stores: s, dir: t.TempDir(), instance: hex.EncodeToString(id)}
	if s.content == config.ContentMemory {
		h.objects = contentmemory.Open()
	}
	if s.content == config.ContentS3 {
		server := s3server.Shared(t)
		h.s3 = s3.Options{Bucket: server.Bucket(t), Endpoint: server.Endpoint, CredentialsFile: server.Credentials(t)}
	}
	if s.backend().Key == "dsn_file" {
		server := pgserver.Shared(t)
		h.dsn = filepath.Join(h.dir, "dsn")
		if err := os.WriteFile(h.dsn, []byte(server.DSN(server.NewDatabase(t))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h home) cache() string { return filepath.Join(h.dir, "cache") }

// running is an open instance.
type running struct {
	line    *lifeline
	log     *commit.Log
	data    *data.Store
	content content.Store
	fs      *vfs.FS
}

func (h home) open(t testing.TB) vfstest.Instance {
	t.Helper()
	r, err := h.start(t)
	if err != nil {
		t.Fatalf("open %v: %v", h.stores, err)
	}
	open := true
	stop := func() {
		if open {
			open = false
			r.stop(t, h)
		}
	}
	t.Cleanup(stop)
	i := vfstest.Instance{
		FS: r.fs, Handles: r.fs.Handles(), Meta: r.log, Close: stop, Remote: h.remote,
		Shares: func(s []vfs.ShareSpec) (map[string]uint32, error) {
			return r.fs.EnsureShares(context.Background(), s)
		},
	}
	if h.lasting() {
		i.Restart = func() vfstest.Instance {
			stop()
			return h.open(t)
		}
	}
	if h.lasting() {
		i.Crash = func() vfstest.Instance {
			r.line.kill()
			stop()
			if h.remote {
				if err := os.RemoveAll(h.cache()); err != nil {
					t.Fatal(err)
				}
			}
			return h.open(t)
		}
	}
	if h.stores == onDisk { // what a kill leaves of its files can be had exactly
		i.Crash = func() vfstest.Instance {
			after := h
			after.dir = snapshot(t, h.dir)
			stop()
			_ = os.RemoveAll(h.dir)
			return after.open(t)
		}
	}
	return i
}

func (h home) start(t testing.TB) (r running, err error) {
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := h.openMetadata(ctx, logger)
	if err != nil {
		return r, err
	}
	if h.failing != nil {
		store = h.failing(store)
	}
	r.line = &lifeline{}
	size := int64(64 << 20)
	if h.busy {
		size = paircache.MinSize // so small that pairs are evicted
	}
	cache, err := paircache.New(size)
	if err != nil {
		return r, err
	}
	r.log = commit.NewCached(ctx, mortalMeta{store, r.line}, cache, layout.CachedKeys)
	if r.content, err = h.openContent(logger); err != nil {
		return r, err
	}
	opt := data.Options{
		Dir: h.cache(), Disk: mortalDisk{line: r.line}, Content: r.line.mortal(r.content), Log: r.log, Instance: h.instance, Logger: logger, Volatile: !h.lasting(),
		CacheSize: 512 << 20, SegmentSize: 8 << 20, SealAfter: time.Hour, CheckpointEvery: time.Hour, Remote: h.remote, Garbage: 1,
		OnFailure: func(err error) {
			if h.failing == nil && !r.line.killed() {
				t.Errorf("the data store failed: %v", err)
			}
		},
	}
	if h.content == config.ContentS3 {
		opt.CachePages, opt.PageSize, opt.ReadAhead = true, 64<<10, 1<<20
	}
	vopt := vfs.Options{Log: r.log, Logger: logger, Remote: h.remote, Reserve: h.reserve, Capacity: h.capacity}
	if h.busy {
		opt.Garbage, opt.CompactRate = 0.2, 1<<40
		opt.CacheSize, opt.SegmentSize = 16<<20, 128<<10
		opt.SealAfter, opt.CheckpointEvery, opt.DeleteAfter = 20*time.Millisecond, 10*time.Millisecond, 100*time.Millisecond
		opt.ExtentMemory, opt.FooterMemory = 64<<10, 64<<10
		vopt.MaxNodes, vopt.MaxNames = 64, 64
	}
	vopt.Data = func(f data.Files) (*data.Store, error) { // which is closed also if the filesystem cannot be opened
		r.data, err = opt.Opener(ctx)(f)
		return r.data, err
	}
	r.fs, err = vfs.Open(ctx, vopt)
	return r, err
}

func (h home) openMetadata(ctx context.Context, logger *slog.Logger) (meta.Store, error) {
	b := h.backend()
	return b.Open(ctx, backend.Settings{Path: filepath.Join(h.dir, "metadata"), DSNFile: h.dsn}, backend.Options{Logger: logger})
}

func (h home) openContent(logger *slog.Logger) (content.Store, error) {
	switch h.content {
	case config.ContentFilesystem:
		return filesystem.Open(filepath.Join(h.dir, "content"))
	case config.ContentS3:
		opts := h.s3
		opts.Logger = logger
		return s3.Open(opts)
	}
	return h.objects, nil
}

func (r running) stop(t testing.TB, h home) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if r.line.killed() {
		cancel() // nothing will come to rest
	}
	report := func(what string, err error) {
		if err != nil && h.failing == nil && !r.line.killed() {
			t.Errorf("close the %s: %v", what, err)
		}
	}
	r.fs.Close()
	report("data store", r.data.Close(ctx))
	if r.content != h.objects {
		report("content store", r.content.Close())
	}
	report("metadata store", r.log.Close())
}

// snapshot copies a directory as kill -9 would leave it: everything that was
// written, nothing that was only in the process. Background work that changes
// it meanwhile makes it begin again.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	for range 100 {
		before, to := fingerprint(dir), t.TempDir()
		err := copyTree(to, dir)
		if err == nil && fingerprint(dir) == before {
			return to
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("copy of the stores: %v", err)
		}
		_ = os.RemoveAll(to)
	}
	t.Fatal("the stores do not come to rest")
	return ""
}

// fingerprint changes when a file is made, removed, renamed or written.
func fingerprint(dir string) string {
	var b strings.Builder
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return b.String()
}

func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(target, info.Mode().Perm())
		}
		p, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, p, info.Mode().Perm())
	})
}
