package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
	"github.com/dittofs/dittofs/pkg/config"
)

// ErrRunning means that a server has the stores open, so that nobody else can.
var ErrRunning = errors.New("a server is running with these stores")

// Offline are the stores of a server that does not run, for commands that look
// at them or mend them.
type Offline struct {
	Reader   meta.Reader
	Store    meta.Store // nil unless it was opened to be changed
	Content  content.Store
	Instance string
	cfg      *config.Config
	confirm  func(ctx context.Context) error // nil: nobody else can have come
	closers  []io.Closer
}

// OpenOffline opens the stores of a configuration as they were left: nothing
// is recovered, and unless change is set nothing is written and no epoch
// begins. While a server runs the error is ErrRunning. Stores of different
// instances are refused, as by a start, and so is metadata whose restore was cut
// off (backup.ErrIncomplete).
func OpenOffline(ctx context.Context, cfg *config.Config, logger *slog.Logger, change bool) (_ *Offline, err error) {
	o := &Offline{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	if backendOf(cfg).Volatile || cfg.Content.Type == config.ContentMemory {
		return o,
			atField("metadata.type", errors.New("a store in memory lives in its server alone; while that runs it can be asked"))
	}
	if err := o.openMetadata(ctx, logger, change); err != nil {
		return o, err
	}
	if _, err := backup.Inspect(ctx, o.Reader); errors.Is(err, backup.ErrIncomplete) {
		return o, fmt.Errorf("%s: %w", metadataField(cfg), err)
	} else if err != nil {
		return o, err
	}
	got, err := o.Reader.Get(ctx, instanceKey)
	if err != nil {
		return o, err
	}
	if o.Instance = string(got[0]); o.Instance == "" {
		return o, errors.New("the metadata is of a server that never came to serve: there is nothing yet")
	}
	return o, o.openContent(ctx, logger)
}

func (o *Offline) openMetadata(ctx context.Context, logger *slog.Logger, change bool) (err error) {
	b := backendOf(o.cfg)
	switch {
	case change && b.Local && isNew(o.cfg.Metadata.Path):
		err = fmt.Errorf("%s holds no metadata store: %w", o.cfg.Metadata.Path, fs.ErrNotExist)
	case change:
		err = o.openToChange(ctx, logger)
	default:
		var r backend.ReadOnly
		if r, err = openMetadataReadOnly(ctx, o.cfg, logger); err != nil {
			break
		}
		o.Reader, o.closers = r, append(o.closers, r)
		if c, ok := r.(fault.Checker); ok {
			o.confirm = c.Check
		}
	}
	if field := (*FieldError)(nil); b.Local && !errors.As(err, &field) {
		err = atField(metadataField(o.cfg), err)
	}
	if errors.Is(err, meta.ErrLocked) {
		err = fmt.Errorf("%w: %w", ErrRunning, err)
	}
	return err
}

func (o *Offline) openToChange(ctx context.Context, logger *slog.Logger) error {
	if backendOf(o.cfg).Local { // one that is damaged stays as it is
		r, err := openMetadataReadOnly(ctx, o.cfg, logger)
		if err == nil {
			err = r.Close()
		}
		if err != nil {
			return err
		}
	}
	store, err := openMetadata(ctx, o.cfg, 0, true, logger)
	if err == nil {
		o.Store, o.Reader, o.closers = store, store, append(o.closers, store)
	}
	return err
}

func (o *Offline) openContent(ctx context.Context, logger *slog.Logger) error {
	owner, err := data.Inspect(o.cfg.Cache.Path)
	if err := checkOwner("cache.path", o.cfg.Cache.Path, owner, o.Instance, err); err != nil {
		return err
	}
	field := contentField(o.cfg.Content.Type)
	if o.cfg.Content.Type == config.ContentFilesystem { // Open would make one
		owner, err = filesystem.Inspect(o.cfg.Content.Path)
		if err == nil && owner == "" {
			err = errNoContent
		}
		if err := checkOwner(field, o.cfg.Content.Path, owner, o.Instance, err); err != nil {
			return err
		}
	}
	if o.Content, err = openContent(o.cfg, logger); err != nil {
		return err
	}
	o.closers = append(o.closers, o.Content)
	if owner, err = o.Content.Owner(ctx); err != nil {
		return err
	}
	if owner != o.Instance {
		return atField(field, fmt.Errorf("the content store belongs to instance %.40q, the metadata is of %s; "+
			"name the store that was used with it", owner, o.Instance))
	}
	return nil
}

// Check are the options of a check of these stores.
func (o *Offline) Check() fsck.Options {
	return fsck.Options{
		Meta: o.Reader, Source: sourceOf(o.cfg, o.Content, o.Instance), Quotas: quotasOf(o.cfg.Shares), Confirm: o.confirm,
	}
}

func sourceOf(cfg *config.Config, store content.Store, instance string) *segments.Source {
	return &segments.Source{
		Dir: cfg.Cache.Path, Content: store, Instance: instance, CachePages: cfg.Content.Type == config.ContentS3,
	}
}

func quotasOf(shares []config.Share) map[string]tree.ShareUsage {
	quotas := map[string]tree.ShareUsage{}
	for i := range shares {
		quotas[shares[i].Name] = tree.ShareUsage{Bytes: int64(shares[i].Quota.Bytes), Inodes: int64(shares[i].Quota.Inodes)}
	}
	return quotas
}

// Close gives everything back.
func (o *Offline) Close() error {
	var errs []error
	for i := len(o.closers) - 1; i >= 0; i-- {
		errs = append(errs, o.closers[i].Close())
	}
	o.closers = nil
	return errors.Join(errs...)
}
