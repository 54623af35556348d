package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// retryPause is how long a flush or a compaction waits after one that
	// failed; Pebble itself would try again at once.
	retryPause = 250 * time.Millisecond
	// stallLimit is how long a batch waits for flushes that keep failing,
	// before the store gives up.
	stallLimit = time.Minute
	// repeatAfter is how often it is said that flushes still fail.
	repeatAfter = time.Minute
)

// watch knows what goes wrong inside Pebble.
//
// When Pebble cannot write its log or its manifest, it ends the process or
// panics while it holds or has given up its locks, where no recover helps. So
// it never learns of such an error: the goroutine that met it stays in the
// call for ever, and the Store, which waits for it beside failed, gives up on
// Pebble.
type watch struct {
	log        *slog.Logger
	failed     chan struct{}         // closed after failure is set
	failure    atomic.Pointer[error] // the first one; it is final
	stallLimit time.Duration
	background atomic.Uint64 // flushes and compactions that failed
	last       atomic.Pointer[backgroundError]
	said       atomic.Int64          // when that was logged, in nanoseconds since 1970
	unflushed  atomic.Pointer[error] // why the last flush failed; nil if it did not
	waiting    atomic.Int64          // since when batches wait for room in memory, like said; 0 if they do not
}

// backgroundError is why a flush or a compaction failed.
type backgroundError struct {
	err  error
	when time.Time
}

func newWatch(log *slog.Logger) *watch {
	w := &watch{log: log, failed: make(chan struct{}), stallLimit: stallLimit}
	w.last.Store(&backgroundError{})
	return w
}

func (w *watch) backgroundError(err error) {
	failed := w.background.Add(1)
	now := time.Now()
	w.last.Store(&backgroundError{err, now})
	said := w.said.Load()
	if now.Sub(time.Unix(0, said)) < repeatAfter || !w.said.CompareAndSwap(said, now.UnixNano()) {
		return
	}
	w.log.Error("metadata store cannot flush or compact; trying again until it can",
		"attempts", failed, "error", err.Error())
}

// fail records err, if it is the first, and returns the first.
func (w *watch) fail(err error) error {
	err = fmt.Errorf("metadata store failed: %w", classify(err))
	if w.failure.CompareAndSwap(nil, &err) {
		close(w.failed)
		w.log.Error("metadata store failed", "error", err)
	}
	return w.err()
}

func (w *watch) err() error {
	if p := w.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// run calls f, which calls Pebble, and gives up on it after a failure. Being
// held back by flushes that fail is one after some time.
func (w *watch) run(f func() error) error { return w.runUntil(context.Background(), f) }

// runUntil is run, for which the end of ctx is a failure too.
func (w *watch) runUntil(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- w.fail(fmt.Errorf("%v", r))
			}
		}()
		done <- f()
	}()
	stalled := time.NewTicker(w.stallLimit)
	defer stalled.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-w.failed:
			return w.err()
		case <-ctx.Done():
			return w.fail(fmt.Errorf("a batch was given up on its way: %w", ctx.Err()))
		case <-stalled.C:
			if last := w.last.Load(); time.Since(last.when) < w.stallLimit {
				return w.fail(fmt.Errorf("waited %v for space in memory: %w", w.stallLimit, last.err))
			}
		}
	}
}

// check returns nil, or never.
func (w *watch) check(op, name string, err error) error {
	if err == nil {
		return nil
	}
	_ = w.fail(fmt.Errorf("%s %s: %w", op, filepath.Base(name), err))
	select {}
}

// guardedFS watches over the files of which Pebble survives no error. It also
// delays new tables after a background error, so that a full disk does not
// make a busy loop.
type guardedFS struct {
	vfs.FS
	w *watch
}

// vital reports whether Pebble ends the process when it cannot write name. With
// the temporary file of its options it is by accident: the open that fails for
// it closes what a goroutine of its own still uses.
func vital(name string) bool {
	base := filepath.Base(name)
	return filepath.Ext(base) == ".log" || strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.") ||
		strings.HasPrefix(base, "temporary.")
}

// Create implements vfs.FS.
func (fs guardedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !vital(name) {
		if filepath.Ext(name) == ".sst" {
			time.Sleep(time.Until(fs.w.last.Load().when.Add(retryPause)))
			_ = fs.w.check("create", name, fs.w.err()) // no attempts without end
		}
		return fs.FS.Create(name, category)
	}
	f, err := fs.FS.Create(name, category)
	guarded, err := fs.guard(name, f, fs.w.check("create", name, err))
	if base := filepath.Base(name); err == nil &&
		(strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.")) {
		// Pebble syncs the directory only once, for the new manifest, for the
		// marker that points to it and for the removal of the old marker. A
		// crash could leave any of the three without the others.
		err = fs.w.check("sync", name, syncDir(fs.FS, fs.PathDir(name)))
	}
	return guarded, err
}

// ReuseForWrite implements vfs.FS. Only logs are used again.
func (fs guardedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	return fs.guard(newname, f, fs.w.check("reuse", newname, err))
}

// Rename implements vfs.FS. Only options get their name by it.
func (fs guardedFS) Rename(oldname, newname string) error {
	return fs.w.check("rename", newname, fs.FS.Rename(oldname, newname))
}

// OpenDir implements vfs.FS.
func (fs guardedFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return fs.guard(name, f, err)
}

// Unwrap implements vfs.FS.
func (fs guardedFS) Unwrap() vfs.FS { return fs.FS }

func (fs guardedFS) guard(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	guarded := &guardedFile{f, name, fs.w}
	if filepath.Ext(name) != ".log" {
		return guarded, nil
	}
	info, err := guarded.Stat()
	if err != nil {
		return nil, err
	}
	return &logFile{guardedFile: guarded, filled: info.Size()}, nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// guardedFile is a vital file, or a directory.
type guardedFile struct {
	vfs.File
	name string
	w    *watch
}

// Write implements vfs.File.
func (f *guardedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.w.check("write", f.name, err)
}

// WriteAt implements vfs.File.
func (f *guardedFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	return n, f.w.check("write", f.name, err)
}

// Stat implements vfs.File.
func (f *guardedFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	return info, f.w.check("stat", f.name, err)
}

// Sync implements vfs.File.
func (f *guardedFile) Sync() error { return f.w.check("sync", f.name, f.File.Sync()) }

// SyncData implements vfs.File.
func (f *guardedFile) SyncData() error { return f.w.check("sync", f.name, f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *guardedFile) SyncTo(length int64) (fullSync bool, err error) {
	fullSync, err = f.File.SyncTo(length)
	return fullSync, f.w.check("sync", f.name, err)
}

// Close implements vfs.File.
func (f *guardedFile) Close() error { return f.w.check("close", f.name, f.File.Close()) }
