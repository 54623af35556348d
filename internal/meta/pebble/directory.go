package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dittofs/dittofs/internal/meta"
)

// prepareDirectory makes dir if it is not there, and refuses one that holds
// other things than a Pebble database. It changes nothing in an existing one.
func prepareDirectory(disk vfs.FS, dir string) error {
	err := makeDirectory(disk, disk.PathJoin(dir))
	var names []string
	if err == nil {
		names, err = disk.List(dir)
	}
	if err != nil {
		return fmt.Errorf("metadata directory: %w", err)
	}
	foreign, hasState := "", false
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "marker.manifest."):
			return nil
		case name == stateFile:
			hasState = true
		case name == "LOCK" || name == "lost+found" || startOfDatabase(name):
		default:
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("metadata directory %s holds files that are no metadata store (%s); choose an empty directory",
			dir, foreign)
	}
	if hasState {
		return fmt.Errorf("metadata directory %s has lost its manifest: %w", dir, meta.ErrCorrupt)
	}
	return nil
}

// startOfDatabase reports whether name is left by a crash while Pebble made a
// new database, before its manifest was in place.
func startOfDatabase(name string) bool {
	for _, prefix := range []string{"marker.", "MANIFEST-", "OPTIONS-", "temporary."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	number, isLog := strings.CutSuffix(name, ".log")
	return isLog && len(number) == 6 && strings.Trim(number, "0123456789") == ""
}

// makeDirectory makes dir, durably and below durable ones, if it is not there:
// what is later synced in dir must not vanish with dir itself.
func makeDirectory(disk vfs.FS, dir string) error {
	parent := disk.PathDir(dir)
	_, err := disk.Stat(dir)
	switch {
	case err == nil && dir != parent:
		// It may be left by a crash. Parents of others may be unreadable.
		_ = syncDir(disk, parent)
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := makeDirectory(disk, parent); err != nil {
		return err
	}
	return errors.Join(disk.MkdirAll(dir, 0o700), syncDir(disk, parent))
}

func lockDirectory(disk vfs.FS, path string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(path, disk)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), strings.Contains(err.Error(), "lock held by current process"):
		return nil, fmt.Errorf("metadata directory %s: %w", path, meta.ErrLocked)
	}
	return nil, fmt.Errorf("lock metadata directory %s: %w", path, err)
}
