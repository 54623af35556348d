package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"time"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/smallfile"
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
	refused chan string // why what the file has now is not used

	seen []byte // checksum of the file when it was last read
}

// newReloader makes a reloader of a file that was read already; seen is its
// checksum from before that.
func newReloader(file string, environ []string, log *logging.Log, seen []byte) *reloader {
	return &reloader{
		file: file, environ: environ, log: log, next: make(chan *config.Config), refused: make(chan string), seen: seen,
	}
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
	settled := time.NewTimer(0) // for a change from before it was watched
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.reload(ctx, "SIGHUP")
		case event := <-w.events:
			if w.concerns(event) {
				settled.Reset(settleTime)
			}
		case err := <-w.errors: // such as an overflow: something was missed
			r.log.Warn("watching the configuration file", "error", err)
			settled.Reset(settleTime)
		case <-settled.C:
			if err := w.follow(); err != nil {
				r.log.Warn("watching the configuration file", "error", err)
			}
			if !bytes.Equal(checksum(r.file), r.seen) { // it cannot be read, for one
				r.reload(ctx, "file changed")
			}
		}
	}
}

// reload reads the file and sends it to the server. Of a file with a fault the
// server is told the first one, and goes on with what it has.
func (r *reloader) reload(ctx context.Context, reason string) {
	r.seen = checksum(r.file)
	loaded, warnings, err := config.Load(r.file, r.environ)
	if err != nil {
		select {
		case r.refused <- r.logFaults(err, reason):
		case <-ctx.Done():
		}
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

// logFaults returns the first fault.
func (r *reloader) logFaults(err error, reason string) string {
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		r.log.Error("configuration not used", "file", r.file, "reason", reason, "error", err)
		return err.Error()
	}
	for _, f := range invalid.Faults {
		r.log.Error("configuration not used", "file", r.file, "reason", reason, "fault", f.String())
	}
	return invalid.Faults[0].String()
}

// checksum identifies the contents of a file; nil when it cannot be read.
func checksum(file string) []byte {
	text, err := smallfile.Read(file, config.MaxFileSize)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(text)
	return sum[:]
}
