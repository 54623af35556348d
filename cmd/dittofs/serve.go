package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/server"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/version"
)

func newServeCommand(environ []string) *cobra.Command {
	var file string
	var wait bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the shares of a configuration until SIGTERM or SIGINT",
		Long: `Serve the shares of a configuration until SIGTERM or SIGINT.

The first signal stops gracefully within shutdown_timeout: what is in flight is
finished, everything is synced, and the exit code is 0. A second signal ends the
process at once; nothing acknowledged as stable is lost by that either.

Changes of shares and logging in the file apply while running, when the file, or a
symbolic link that leads to it, changes and on SIGHUP. Other changes are logged and need a restart. A file with
a fault is logged and not used.

A store outside of this machine that cannot be used at the start is waited for;
the log and /readyz of the admin listener say why. --wait-for-stores=false ends
with exit code 2 instead, where somebody has to mend something.

Exit codes: 0 stopped; 1 failed while running; 2 the command line or the
configuration is wrong, and nothing was touched.`,
		Example: `  dittofs serve --config config.yaml

  # override a key of the file
  DITTOFS_NFS_LISTEN=0.0.0.0:2049 dittofs serve --config config.yaml

  # apply a change of the file now
  kill -HUP $(pidof dittofs)`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(file, wait, environ, cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&wait, "wait-for-stores", true,
		"wait for a store that refuses this server (no such bucket, a wrong password); false ends at once with exit code 2")
	return cmd
}

// flushTimeout is how long the end of the process waits for the reader of its
// log.
const flushTimeout = 500 * time.Millisecond

// serve loads the configuration and runs the server until a signal.
func serve(file string, wait bool, environ []string, stderr io.Writer) error {
	seen := checksum(file)
	cfg, warnings, err := loadConfig(file, environ)
	if err != nil {
		return err
	}
	// Without it a write to a log whose reader has died ends the process, with
	// a status that supervisors take for a wanted end.
	signal.Ignore(syscall.SIGPIPE)
	log := logging.New(stderr, cfg.Logging)
	defer log.Close(flushTimeout)
	for _, w := range warnings {
		log.Warn("configuration", "file", file, "warning", w.String())
	}
	for _, f := range config.CheckFiles(cfg) { // it may still come
		log.Warn("configuration", "file", file, "warning", f.String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hangup, stopped := watchSignals(log, cancel, os.Exit)
	r := newReloader(file, environ, log, seen)
	go r.run(ctx, hangup) // the end does not wait for it: the file's disk may hang

	err = server.Run(ctx, cfg, server.Options{
		Logger:  log.Logger,
		Level:   &log.Level,
		Reload:  r.next,
		Refused: r.refused,
		Version: version.String(),

		LogCounts:     log.Counts,
		WaitForStores: wait,
	})
	stopped()
	return serverFailure(log, err)
}

// sameWish is how soon after the first signal another one is no second wish:
// timeout(1) sends its signal to the process and to its group, which is both us.
const sameWish = 200 * time.Millisecond

// watchSignals calls stop at the first SIGTERM or SIGINT, and exit at the second
// unless the stop was complete before, which the caller tells by stopped. stopped
// does not return if exit comes first, so that the log and the exit code say the
// same. The channel hangup receives SIGHUP.
func watchSignals(log *logging.Log, stop func(), exit func(code int)) (hangup <-chan os.Signal, stopped func()) {
	hang := make(chan os.Signal, 1)
	signal.Notify(hang, syscall.SIGHUP)
	end := make(chan os.Signal, 2)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	var decided atomic.Bool // how the process ends
	go func() {
		log.Info("received a signal to stop", "signal", (<-end).String())
		first := time.Now()
		stop()
		again := <-end
		for time.Since(first) < sameWish {
			again = <-end
		}
		if !decided.CompareAndSwap(false, true) {
			return
		}
		log.Error("ended before the stop was complete", "signal", again.String())
		log.Close(flushTimeout)
		exit(exitRuntime)
	}()
	return hang, func() {
		if !decided.CompareAndSwap(false, true) {
			select {} // until exit
		}
	}
}

// serverFailure gives an error of the server its exit code: 2 when it comes
// from the value of a key, such as a port in use.
func serverFailure(log *logging.Log, err error) error {
	if err == nil {
		return nil
	}
	var field interface {
		error
		ConfigField() string
	}
	if errors.As(err, &field) {
		if name := field.ConfigField(); !strings.Contains(err.Error(), name) {
			err = fmt.Errorf("%s: %w", name, err)
		}
		log.Print(err.Error()) // by the log, which may have nobody to read it
		return &failure{code: exitConfig, err: err, reported: true}
	}
	log.Error("server failed", "error", err)
	return &failure{code: exitRuntime, err: err, reported: true}
}
