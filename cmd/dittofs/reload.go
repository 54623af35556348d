package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/pkg/config"
)

// settleTime is how long a file must be left alone before it is read, so that
// one that is being written in place is not read half-way.
const settleTime = 300 * time.Millisecond

// reloader reads the configuration again when its file changes, and hands it to
// the server, which decides what applies.
type reloader struct {
	file    string
	environ []string
	log     *logging.Log
	next    chan *config.Config

	seen []byte // checksum of the file when it was last read
}

func newReloader(file string, environ []string, log *logging.Log) *reloader {
	return &reloader{file: file, environ: environ, log: log, next: make(chan *config.Config), seen: checksum(file)}
}

// run reloads on SIGHUP and on changes of the file until ctx ends.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) {
	w, err := watchFile(r.file)
	if err != nil {
		r.log.Warn("the configuration file is not watched; send SIGHUP after a change", "file", r.file, "error", err)
		w = &fileWatch{}
	}
	defer func() {
		if err := w.close(); err != nil {
			r.log.Warn("watching the configuration file", "error", err)
		}
	}()
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.reload(ctx, "SIGHUP")
		case event := <-w.events:
			if w.concerns(event.Name) {
				settled.Reset(settleTime)
			}
		case err := <-w.errors: // such as an overflow: something was missed
			r.log.Warn("watching the configuration file", "error", err)
			settled.Reset(settleTime)
		case <-settled.C:
			if sum := checksum(r.file); sum != nil && !bytes.Equal(sum, r.seen) {
				r.reload(ctx, "file changed")
			}
		}
	}
}

// reload reads the file and sends it to the server. A file with a fault is
// logged, and the server goes on with what it has.
func (r *reloader) reload(ctx context.Context, reason string) {
	r.seen = checksum(r.file)
	loaded, warnings, err := config.Load(r.file, r.environ)
	if err != nil {
		r.logFaults(err, reason)
		return
	}
	for _, w := range warnings {
		r.log.Warn("configuration", "file", r.file, "warning", w.String())
	}
	r.log.Info("configuration read", "file", r.file, "reason", reason)
	r.log.Apply(loaded.Logging)
	select {
	case r.next <- loaded:
	case <-ctx.Done():
	}
}

func (r *reloader) logFaults(err error, reason string) {
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		r.log.Error("configuration not used", "file", r.file, "reason", reason, "error", err)
		return
	}
	for _, f := range invalid.Faults {
		r.log.Error("configuration not used", "file", r.file, "reason", reason, "fault", f.String())
	}
}

// checksum identifies the contents of a file; nil when it cannot be read.
func checksum(file string) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, config.MaxFileSize+1)); err != nil {
		return nil
	}
	return h.Sum(nil)
}

// configMapLink is what Kubernetes replaces when a mounted ConfigMap changes;
// the files beside it are links through it and do not change themselves.
const configMapLink = "..data"

// fileWatch reports events in a file's directory: the file itself may be
// replaced by a rename. The zero value reports nothing.
type fileWatch struct {
	watcher *fsnotify.Watcher
	base    string
	events  <-chan fsnotify.Event
	errors  <-chan error
}

func watchFile(file string) (*fileWatch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := watcher.Add(filepath.Dir(file)); err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	return &fileWatch{watcher, filepath.Base(file), watcher.Events, watcher.Errors}, nil
}

// concerns reports whether an event of the named entry can change the file.
func (w *fileWatch) concerns(name string) bool {
	base := filepath.Base(name)
	return base == w.base || base == configMapLink
}

func (w *fileWatch) close() error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Close()
}
