package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dittofs/dittofs/internal/meta"
)

const defaultCache = 64 << 20

// largeReserve is what is kept of a large disk.
const largeReserve = 256 << 20

// sizes are those of the tree of tables. On a full disk, removals need room for
// the tables in memory, for their logs, and for what a compaction writes before
// it removes what it read: up to the first level and all that is above it.
type sizes struct{ memTable, firstLevel, file uint64 }

// sizesOn returns the sizes for a disk of which reserve bytes are kept for
// removals; 0 is the most that is.
func sizesOn(reserve uint64) sizes {
	if reserve == 0 || reserve >= largeReserve {
		return sizes{16 << 20, 64 << 20, 2 << 20}
	}
	return sizes{reserve / 32, reserve / 8, reserve / 256}
}

const (
	// DefaultOpenFiles is what Options.MaxOpenFiles is if it is 0.
	DefaultOpenFiles = 500
	// LeastOpenFiles is what Pebble takes at least.
	LeastOpenFiles = 80
	// OtherDescriptors are of the lock, of directories that are synced, and of
	// what flushes and compactions read and write.
	OtherDescriptors = 40
)

// pebbleOptions are for small keys and values, at 20,000 durable batches a
// second, in a process that shares its memory with a data cache.
func pebbleOptions(disk vfs.FS, lock *pebble.Lock, w *watch, r *room, o Options) *pebble.Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	sizes := sizesOn(o.Reserve)
	if o.MemTableBytes == 0 {
		o.MemTableBytes = sizes.memTable
	}
	if o.MaxOpenFiles == 0 {
		o.MaxOpenFiles = DefaultOpenFiles
	}
	po := &pebble.Options{
		FS:   guardedFS{disk, w},
		Lock: lock,
		// Checksums in every part of a table, and a log that tells a torn end
		// from damage in the middle.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               int64(sizes.firstLevel),
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		MaxOpenFiles:                o.MaxOpenFiles,
		BytesPerSync:                1 << 20,
		Logger:                      logger{w},
		EventListener: &pebble.EventListener{
			BackgroundError: w.backgroundError,
			DataCorruption:  w.dataCorruption,
			CompactionBegin: r.begin,
			CompactionEnd:   r.end,
			FlushEnd:        w.flushEnd,
			WriteStallBegin: w.stallBegin,
			WriteStallEnd:   w.stallEnd,
		},
	}
	po.TargetFileSizes[0] = int64(sizes.file) // twice as much at each level
	// Most lookups of a file server are for names that do not exist.
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return po
}

func (w *watch) dataCorruption(info pebble.DataCorruptionInfo) {
	w.log.Error("metadata store is damaged", "file", info.Path, "error", info.Details)
}

// logger receives what Pebble says, and its wish to end the process.
type logger struct{ w *watch }

func (l logger) Infof(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

func (l logger) Errorf(format string, args ...any) { l.say(slog.LevelWarn, format, args) }

// Fatalf does not return, like that of Pebble's own logger, but the process
// goes on.
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			err = cause
		}
	}
	_ = l.w.fail(err)
	select {}
}

func (l logger) say(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.w.log.Enabled(ctx, level) {
		l.w.log.Log(ctx, level, strings.TrimSpace(fmt.Sprintf(format, args...)), "component", "pebble")
	}
}

// classify gives Pebble's errors the names of package meta.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", meta.ErrCorrupt, err)
	case errors.Is(err, pebble.ErrClosed):
		return meta.ErrClosed
	case errors.Is(err, fs.ErrNotExist), strings.Contains(err.Error(), "object size mismatch"):
		return fmt.Errorf("a file is missing or was cut short: %w: %w", meta.ErrCorrupt, err)
	case strings.Contains(err.Error(), "unknown format major version"):
		return fmt.Errorf("%w: %w", meta.ErrFormat, err)
	}
	return err
}
