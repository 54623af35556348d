package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dittofs/dittofs/internal/meta"
)

// ReadOnly is a store that is read as it was left, without an ownership of its
// own: no epoch begins, no log is replayed into tables, no file changes. It
// holds the lock, so that no server starts meanwhile.
type ReadOnly struct{ s *Store }

var _ meta.Reader = (*ReadOnly)(nil)

// OpenReadOnly opens what is in dir for reading. Errors are those of Open; a
// directory without a store is fs.ErrNotExist.
func OpenReadOnly(dir string, o Options) (*ReadOnly, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	disk, path := o.FS, dir
	if disk == nil {
		disk = vfs.Default
	}
	if _, err := disk.Stat(disk.PathJoin(dir)); err != nil {
		return nil, fmt.Errorf("metadata directory: %w", err)
	}
	if err := prepareDirectory(disk, dir); err != nil {
		return nil, err
	}
	before, err := readState(disk, dir)
	if err == nil && before == nil {
		err = fmt.Errorf("it holds no metadata store (no file %s): %w", stateFile, fs.ErrNotExist)
	}
	if err == nil && o.FS == nil {
		if path, err = filepath.EvalSymlinks(dir); err == nil {
			path, err = filepath.Abs(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("metadata directory %s: %w", dir, err)
	}
	lock, err := lockDirectory(disk, path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, fs: disk, lock: lock, watch: newWatch(o.Logger), owned: func() error { return nil }}
	if err := s.openReadOnly(o); err != nil {
		return nil, fmt.Errorf("open metadata store %s: %w", dir, err)
	}
	return &ReadOnly{s}, nil
}

func (s *Store) openReadOnly(o Options) error {
	before, err := readState(s.fs, s.path)
	if err == nil {
		err = checkLogs(s.fs, s.path)
	}
	if err == nil {
		po := pebbleOptions(s.fs, s.lock, s.watch, newRoom(s.fs, s.path, 0), o)
		po.ReadOnly = true
		err = s.openDB(po)
	}
	if err != nil {
		return errors.Join(err, s.unlock())
	}
	if s.epoch, err = s.checkWhole(before); err != nil {
		return errors.Join(err, s.closeDB())
	}
	return nil
}

// Epoch is that of the last ownership.
func (r *ReadOnly) Epoch() uint64 { return r.s.epoch }

// Get implements meta.Reader.
func (r *ReadOnly) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	return r.s.Get(ctx, keys...)
}

// Scan implements meta.Reader.
func (r *ReadOnly) Scan(ctx context.Context, rg meta.Range, limit int) ([]meta.Pair, error) {
	return r.s.Scan(ctx, rg, limit)
}

// Close gives the lock back.
func (r *ReadOnly) Close() error {
	if r.s.closed.Swap(true) {
		return meta.ErrClosed
	}
	r.s.life.Lock()
	defer r.s.life.Unlock()
	return r.s.closeDB()
}
