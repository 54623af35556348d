package crashtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/disk/crashdisk"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/pebble"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// kind is how an instance is made.
type kind struct {
	// Remote hides that the content store is on this disk: segments are
	// copied there, not renamed, and pages are kept in the cache.
	Remote bool
	// Safe says that stable data must be there too: durability "remote".
	Safe bool
	// Busy makes segments be sealed, handed off and deleted, and tables be
	// written and compacted, all the time. Without it the stores do only what
	// they are asked for, and what a start brings with it.
	Busy bool

	gate *atomic.Bool // if not nil and true, the content store takes nothing
}

// afterwards is the same without work on its own account.
func (k kind) afterwards() kind { return kind{Remote: k.Remote, Safe: k.Safe} }

// remote is a content store that is nobody's files.
type remote struct{ content.Store }

// instance is a filesystem that runs on a disk.
type instance struct {
	fs      *vfs.FS
	top     vfs.ID
	log     *commit.Log
	pairs   *cached
	data    *data.Store
	content content.Store
	source  *segments.Source
	said    *transcript
	kind    kind

	mu     sync.Mutex
	failed error
}

// transcript keeps what was logged, for failures.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

var background = context.Background()

// openInstance starts a filesystem on the disk as the server does.
func openInstance(d *crashdisk.Disk, k kind) (i *instance, err error) {
	i = &instance{said: &transcript{}, kind: k}
	logger := slog.New(slog.NewTextHandler(i.said, &slog.HandlerOptions{Level: slog.LevelInfo}))
	defer func() {
		if err != nil {
			i.abort()
			err = fmt.Errorf("%w\n%s", err, i.said)
		}
	}()
	if i.log, i.pairs, err = openMetadata(d, k, logger); err != nil {
		return i, err
	}
	name, err := instanceName(i.log)
	if err != nil {
		return i, err
	}
	local, err := filesystem.OpenOn(d, "/content")
	if err != nil {
		return i, err
	}
	i.content = k.content(local)
	i.source = &segments.Source{Disk: d, Dir: "/cache", Content: i.content, Instance: name, CachePages: k.Remote}
	do := data.Options{
		Remote: k.Safe, CachePages: k.Remote, PageSize: 64 << 10,
		Disk: d, Dir: "/cache", Content: i.content, Log: i.log, Instance: name, Logger: logger, OnFailure: i.fail,
		CacheSize: 16 << 20, SegmentSize: 48 << 10, SealAfter: time.Hour, CheckpointEvery: time.Hour, DeleteAfter: time.Hour,
		Garbage: 1, CompactRate: 1 << 40, RetryEvery: 20 * time.Millisecond, ExtentMemory: 16 << 10, FooterMemory: 16 << 10,
	}
	if k.Remote {
		do.CacheSize, do.SegmentSize, do.ReadAhead = 2<<20, 80<<10, 128<<10 // pages are evicted
	}
	if k.Busy {
		do.Garbage = 0.2
		do.LayOutRun, do.LayOutPiece, do.LayOutAfter = 2*block, 4*block, time.Nanosecond
		do.SealAfter, do.CheckpointEvery, do.DeleteAfter = 5*time.Millisecond, 3*time.Millisecond, 3*time.Millisecond
	}
	i.fs, err = vfs.Open(background, vfs.Options{
		Log: i.log, Logger: logger, MaxNodes: 16, MaxNames: 16, Remote: k.Safe,
		Data: func(f data.Files) (*data.Store, error) { // which is closed also if the filesystem cannot be opened
			i.data, err = do.Opener(background)(f)
			return i.data, err
		},
	})
	if err != nil {
		return i, err
	}
	ids, err := i.fs.EnsureShares(background, []vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	if err != nil {
		return i, err
	}
	i.top, err = i.fs.Root(ids["main"])
	return i, err
}

func (k kind) content(local *filesystem.Store) content.Store {
	switch {
	case k.gate != nil && k.Remote:
		return gated{local, k.gate}
	case k.gate != nil:
		return gatedLocal{gated{local, k.gate}, local}
	case k.Remote:
		return remote{local}
	}
	return local
}

func openMetadata(d *crashdisk.Disk, k kind, logger *slog.Logger) (*commit.Log, *cached, error) {
	o := pebble.Options{Logger: logger, FS: d.Pebble(), CacheBytes: 1 << 20}
	if k.Busy {
		o.MemTableBytes = 32 << 10
	}
	store, err := pebble.Open("/metadata", o)
	if err != nil {
		return nil, nil, err
	}
	pairs, err := newCached(store)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return commit.NewCached(background, pairs, pairs.cache, layout.CachedKeys), pairs, nil
}

// instanceName is kept in the metadata, as by the server.
func instanceName(log *commit.Log) (string, error) {
	key := []byte("cinstance")
	got, err := log.Get(background, key)
	if err != nil {
		return "", err
	}
	if got[0] != nil {
		return string(got[0]), nil
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw)
	b := &meta.Batch{}
	b.Put(key, []byte(hex.EncodeToString(raw)))
	return hex.EncodeToString(raw), log.Apply(b)
}

func (i *instance) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.failed = err
}

func (i *instance) failure() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.failed
}

// close stops in good order: everything is flushed, and handed off unless the
// content store does not take it.
func (i *instance) close() error {
	ctx, cancel := context.WithTimeout(background, 2*time.Second)
	defer cancel()
	return i.stop(ctx)
}

// abort stops with as little done as possible.
func (i *instance) abort() {
	ctx, cancel := context.WithCancel(background)
	cancel()
	_ = i.stop(ctx)
}

func (i *instance) stop(ctx context.Context) error {
	var errs []error
	if i.fs != nil {
		i.fs.Close()
	}
	if i.data != nil {
		errs = append(errs, i.data.Close(ctx))
	}
	if i.content != nil {
		errs = append(errs, i.content.Close())
	}
	if i.log != nil {
		errs = append(errs, i.pairs.agreeOnAll(i.log), i.log.Close())
	}
	return errors.Join(errs...)
}
