package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/pkg/config"
)

// ListBackups lists the backups in the content store of a configuration, oldest
// first. No server need run.
func ListBackups(ctx context.Context, cfg *config.Config, logger *slog.Logger) ([]report.Backup, error) {
	store, err := openStored(cfg, logger)
	if err != nil {
		return nil, err
	}
	entries, err := backup.List(ctx, store)
	if err = errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	list := make([]report.Backup, 0, len(entries))
	for _, e := range entries {
		list = append(list, describeBackup(e))
	}
	return list, nil
}

// openStored opens a content store that exists: what only reads makes none.
func openStored(cfg *config.Config, logger *slog.Logger) (content.Store, error) {
	if cfg.Content.Type == config.ContentFilesystem {
		owner, err := filesystem.Inspect(cfg.Content.Path)
		if err == nil && owner == "" {
			err = errNoContent
		}
		if err != nil {
			return nil, atField("content.path", fmt.Errorf("cannot use %s: %w", cfg.Content.Path, err))
		}
	}
	return openContent(cfg, logger)
}

// errNoContent is of a directory in which there is nothing to read.
var errNoContent = errors.New("it holds no content store; is it mounted?")

// RestoreOptions are what the command line says of a restore.
type RestoreOptions struct {
	Logger       *slog.Logger
	From         string // a backup's name, or "" for the newest
	AllowMissing bool
	Progress     func(done, total int64) // keys; may be nil
}

// Refusal is a restore that was refused before anything was changed.
type Refusal struct{ Err error }

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Restore makes the metadata store of a configuration, which must be empty, from
// a backup in its content store. An error with the method ConfigField is a fault
// of the configuration, a *Refusal one of the stores: nothing was changed.
func Restore(ctx context.Context, cfg *config.Config, o RestoreOptions) (*report.Restored, error) {
	switch {
	case cfg.Content.Type == config.ContentMemory:
		return nil, atField("content.type", errors.New("a memory store holds no backup"))
	case backendOf(cfg).Volatile:
		return nil, atField("metadata.type", errors.New("memory ends with the server, so nothing can be restored into it"))
	}
	if err := refuseRunning(cfg); err != nil {
		return nil, &Refusal{err}
	}
	store, err := openStored(cfg, o.Logger)
	if err != nil {
		return nil, err
	}
	done, err := restore(ctx, cfg, store, o)
	if err = errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	return &report.Restored{Backup: describeBackup(backup.Entry{Manifest: done.Manifest}), Missing: done.Missing}, nil
}

// refuseRunning finds a server of the same configuration at once.
func refuseRunning(cfg *config.Config) error {
	conn, err := net.DialTimeout("unix", cfg.ControlSocket(), time.Second)
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return fmt.Errorf("%w, with this configuration: stop it first", backup.ErrAlive)
}

func restore(ctx context.Context, cfg *config.Config, store content.Store, o RestoreOptions) (*backup.Restored, error) {
	opened := false
	var done *backup.Restored
	err := checkCache(ctx, cfg, store)
	if err == nil { // before the owner is asked, which writes a question into the store
		err = backup.Find(ctx, store, o.From)
	}
	if err == nil {
		err = backup.AskOwner(ctx, store, backup.AskFor)
	}
	if err == nil {
		done, err = backup.Restore(ctx, backup.RestoreOptions{
			Content: store, From: o.From, AllowMissing: o.AllowMissing, Progress: o.Progress, Ignore: instanceKey,
			Open: func(minEpoch uint64) (meta.Store, error) {
				s, err := openMetadata(ctx, cfg, minEpoch, false, o.Logger)
				if errors.Is(err, meta.ErrLocked) {
					return nil, fmt.Errorf("%w: %w: stop it first", backup.ErrAlive, err)
				}
				opened = err == nil
				return s, err
			},
		})
	}
	var field *FieldError
	switch {
	case err == nil, errors.As(err, &field):
		return done, err
	case !opened, errors.Is(err, backup.ErrNotEmpty):
		return nil, &Refusal{err}
	}
	return nil, err
}

// checkCache refuses a cache directory of another instance before the restored
// metadata would be refused for it.
func checkCache(ctx context.Context, cfg *config.Config, store content.Store) error {
	owner, err := store.Owner(ctx)
	if err != nil || owner == "" {
		return err // that there is nothing to restore is said later
	}
	cache, err := data.Inspect(cfg.Cache.Path)
	return checkOwner("cache.path", cfg.Cache.Path, cache, owner, err)
}
