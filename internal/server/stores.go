package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	contentmemory "github.com/dittofs/dittofs/internal/content/memory"
	"github.com/dittofs/dittofs/internal/content/s3"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/meta/paircache"
	"github.com/dittofs/dittofs/internal/space"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/layout"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

// stores are the three stores and the filesystem over them.
type stores struct {
	meta    meta.Store // closed by log
	log     *commit.Log
	content content.Store
	data    *data.Store
	fs      *vfs.FS
	backup  *backup.Maker // nil if there is nowhere to put one
	reserve *space.Reserve

	instance   string // name of the filesystem
	generation uint64 // how often the metadata was restored
}

// openStores opens what the configuration names, from the bottom up, and waits
// for what is not there yet. What was opened is closed again if a later step
// fails.
func openStores(
	ctx context.Context, cfg *config.Config, logger *slog.Logger, o *opener, fail func(error),
) (s *stores, err error) {
	if err := checkDirs(cfg); err != nil {
		return nil, err
	}
	s = &stores{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	if err = o.open(ctx, "metadata: "+metadataPlace(cfg), func() (err error) {
		s.meta, err = openMetadata(ctx, cfg, 0, true, logger)
		return err
	}); err != nil {
		return s, err
	}
	if err = s.openLog(ctx, cfg); err != nil {
		return s, err
	}
	o.state.set(health.Metadata, nil)
	s.reserve = newReserve(cfg, logger)
	if err = o.open(ctx, "content: "+contentPlace(cfg), func() (err error) {
		s.content, err = openContent(cfg, logger)
		return err
	}); err != nil {
		return s, err
	}
	s.backup = newMaker(cfg, s, s.instance, logger)
	s.fs, err = vfs.Open(ctx, vfs.Options{
		Log: s.log, Logger: logger, Capacity: s.capacity(cfg), Reserve: s.reserve,
		Remote: cfg.Durability == config.DurabilityRemote,
		Data: func(files data.Files) (*data.Store, error) {
			err := o.open(ctx, "content: "+contentPlace(cfg), func() error {
				return s.openData(ctx, cfg, files, logger, fail)
			})
			if err == nil {
				o.state.set(health.Content, nil)
			}
			return s.data, err
		},
	})
	return s, err
}

// openLog begins the group commit over the metadata store, and finds out whose it is.
func (s *stores) openLog(ctx context.Context, cfg *config.Config) (err error) {
	var cache *paircache.Cache
	if size := int64(cfg.Metadata.Cache); size > 0 {
		if cache, err = paircache.New(size); err != nil {
			return atField("metadata.cache", err)
		}
	}
	// Not ctx: commits go on while the server stops.
	s.log = commit.NewCached(context.WithoutCancel(ctx), s.meta, cache, layout.CachedKeys)
	s.generation, err = backup.Inspect(ctx, s.log)
	if errors.Is(err, backup.ErrIncomplete) {
		err = atField(metadataField(cfg), err)
	}
	if err != nil {
		return err
	}
	if s.instance, err = instanceOf(ctx, s.log, cfg); err != nil {
		return err
	}
	return checkOwners(cfg, s.instance)
}

// watch keeps the state of the stores up to date. Metadata and a cache that are
// another's end the server, as the next write would: what it knows of them is in
// memory, and is not what the next start finds. A content store may come back.
func (s *stores) watch(ctx context.Context, st *state, logger *slog.Logger) {
	go st.watch(ctx, health.Metadata, s.meta, logger, s.log.Abort)
	go st.watch(ctx, health.Content, s.content, logger, func(error) {})
	go st.watch(ctx, health.Cache, s.data, logger, func(error) {}) // it says so itself
}

func openContent(cfg *config.Config, logger *slog.Logger) (content.Store, error) {
	switch cfg.Content.Type {
	case config.ContentMemory:
		return contentmemory.Open(), nil
	case config.ContentS3:
		return openS3(cfg.Content, logger)
	}
	store, err := filesystem.OpenWith(cfg.Content.Path,
		filesystem.Options{OpenFiles: descriptorsOf(cfg, fileLimit()).objects})
	if err != nil {
		return nil, atField("content.path", err)
	}
	return store, nil
}

func openS3(c config.Content, logger *slog.Logger) (content.Store, error) {
	store, err := s3.Open(s3.Options{
		Bucket: c.Bucket, Endpoint: c.Endpoint, Region: c.Region, Prefix: c.Prefix,
		CredentialsFile: c.CredentialsFile, CAFile: c.CAFile, Addressing: string(c.Addressing),
		PartSize: int64(c.PartSize), Parallel: int(c.ParallelTransfers), Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// contentField is the key that says which content store it is.
func contentField(t config.ContentType) string {
	if t == config.ContentS3 {
		return "content.bucket"
	}
	return "content.path"
}

func (s *stores) openData(
	ctx context.Context, cfg *config.Config, files data.Files, logger *slog.Logger, fail func(error),
) (err error) {
	far := cfg.Content.Type == config.ContentS3
	var pinned func(format.SegmentID) bool
	if s.backup != nil {
		pinned = s.backup.Pinned
	}
	// Before the cache is made that of a new instance, whose metadata may only
	// be lost.
	owner, err := s.content.Owner(ctx)
	switch {
	case fault.Of(err) != nil:
		return err
	case err != nil:
		return atField(contentField(cfg.Content.Type), err)
	case owner == "" && cfg.Metadata.ExpectedInstance != "" && cfg.Content.Type != config.ContentMemory:
		return notExpected(cfg, contentField(cfg.Content.Type), "the content store holds no filesystem")
	case owner != "" && owner != s.instance:
		return dataFault(cfg, content.ErrForeign)
	}
	// Data elsewhere has at least its index on the disk of the metadata.
	mayWrite := func(int64) error { return s.reserve.Names() }
	mayRewrite := mayWrite
	if sameDisk(cfg.Metadata.Path, cfg.Cache.Path) {
		mayWrite, mayRewrite = s.reserve.Data, s.reserve.Rewrite
	}
	s.data, err = data.Open(ctx, data.Options{
		Dir: cfg.Cache.Path, CacheSize: int64(cfg.Cache.Size), Content: s.content, Log: s.log,
		Instance: s.instance, Files: files, Volatile: backendOf(cfg).Volatile, Logger: logger, OnFailure: fail,
		Forgetful: cfg.Content.Type == config.ContentMemory,
		Remote:    cfg.Durability == config.DurabilityRemote, FullTimeout: time.Duration(cfg.Cache.FullTimeout),
		SealAfter: time.Duration(cfg.Cache.FlushInterval), Transfers: int(cfg.Content.ParallelTransfers),
		Garbage: float64(cfg.Compaction.GarbagePercent) / 100, CompactRate: int64(cfg.Compaction.Rate),
		CachePages: far, PageSize: int64(cfg.Cache.PageSize), ReadAhead: int64(cfg.Cache.ReadAhead),
		Pinned: pinned, MayWrite: mayWrite, MayRewrite: mayRewrite, MaxFiles: descriptorsOf(cfg, fileLimit()).journal,
	})
	return dataFault(cfg, err)
}

// dataFault names the key of an error of the data store or the content store.
func dataFault(cfg *config.Config, err error) error {
	switch {
	case fault.Of(err) != nil:
		return err // of the content store, not of the cache
	case errors.Is(err, content.ErrForeign), errors.Is(err, data.ErrOtherContent):
		return atField(contentField(cfg.Content.Type), fmt.Errorf("%w; name the store that was used with this metadata, "+
			"or a new one with new metadata, or make lost metadata again with \"dittofs restore\"", err))
	}
	return atField("cache.path", err)
}

// instanceKey has the name of the instance.
var instanceKey = []byte(keys.Instance)

// instanceOf returns the name of the filesystem instance, 32 hex digits, made
// when the metadata store is new. Stores that belong to another instance are
// refused, so that data is never mixed up.
func instanceOf(ctx context.Context, log *commit.Log, cfg *config.Config) (string, error) {
	got, err := log.Get(ctx, instanceKey)
	if err != nil {
		return "", err
	}
	name := string(got[0])
	if err := checkExpected(cfg, metadataField(cfg), name); err != nil {
		return "", err
	}
	if name != "" {
		return name, nil
	}
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	name = hex.EncodeToString(raw)
	b := &meta.Batch{}
	b.Put(instanceKey, []byte(name))
	return name, log.Submit(b).Wait()
}

// capacity reports the size of the filesystem that will hold the data; nil if
// that has no bounds.
func (s *stores) capacity(cfg *config.Config) func() (total, free uint64, err error) {
	if cfg.Content.Type == config.ContentS3 {
		return nil
	}
	dir, ask := cfg.Cache.Path, disk.OS{}.Statfs
	if store, ok := s.content.(*filesystem.Store); ok {
		dir = cfg.Content.Path
		ask = func(string) (total, free uint64, err error) { return store.Capacity() }
	}
	kept := s.reserve != nil && sameDisk(cfg.Metadata.Path, dir)
	return func() (total, free uint64, err error) {
		total, free, err = ask(dir)
		if err == nil && kept {
			free -= min(space.Bytes(total), free)
		}
		return total, free, err
	}
}

// close ends everything from the top down.
func (s *stores) close(ctx context.Context) error {
	var errs []error
	if s.fs != nil {
		s.fs.Close()
	}
	if s.data != nil {
		errs = append(errs, wrap("data store", s.data.Close(ctx)))
	}
	if s.content != nil {
		errs = append(errs, wrap("content store", s.content.Close()))
	}
	switch {
	case s.log != nil: // with the store under it
		errs = append(errs, wrap("metadata store", s.log.Close()))
	case s.meta != nil:
		errs = append(errs, wrap("metadata store", s.meta.Close()))
	}
	return errors.Join(errs...)
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
