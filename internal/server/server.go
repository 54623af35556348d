// Package server assembles the server from its parts and runs it: stores,
// filesystem, protocols, health and metrics. It is the only package that
// knows them all.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/export"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/nfs/mount3"
	"github.com/dittofs/dittofs/internal/nfs/v3"
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/pkg/config"
)

// Options are what the command line adds to the configuration.
type Options struct {
	Logger *slog.Logger
	// Level is changed when logging.level changes while running.
	Level *slog.LevelVar
	// Reload delivers changed, valid configurations. May be nil.
	Reload <-chan *config.Config
	// Version is shown in logs and metrics.
	Version string
	// Listening is called once with the address of NFS when clients can
	// connect. May be nil.
	Listening func(nfs net.Addr)
}

// Run serves until ctx ends and for cfg.ShutdownDelay after, not ready any
// more, then stops gracefully within cfg.ShutdownTimeout: it finishes what is in flight, syncs everything and
// returns nil. An error with the method ConfigField is a fault of the
// configuration, found before anything was served.
func Run(ctx context.Context, cfg *config.Config, opt Options) error {
	s := &server{cfg: cfg, opt: opt, log: opt.Logger, fatal: make(chan error, 1), metrics: newMetrics(opt.Version)}
	return s.run(ctx)
}

func (s *server) run(ctx context.Context) (err error) {
	cfg := s.cfg
	// The probes answer first, so that a slow start shows as not ready.
	if s.admin, err = newAdmin(cfg.Admin.Listen, &s.health, s.metrics, s.log); err != nil {
		return err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.admin.close(stopCtx)
	}()
	ln, err := net.Listen("tcp", cfg.NFS.Listen)
	if err != nil {
		return atField("nfs.listen", listenFault(cfg.NFS.Listen, err))
	}
	defer ln.Close()
	if err := s.openStores(ctx); err != nil {
		return err
	}
	if err := s.assemble(ctx); err != nil {
		return errors.Join(err, s.stores.close(context.Background()))
	}
	return s.serve(ctx, ln)
}

type server struct {
	cfg     *config.Config
	opt     Options
	log     *slog.Logger
	metrics *metrics
	health  health
	admin   *admin
	stores  *stores
	exports *export.Table
	rpc     *sunrpc.Server
	fatal   chan error
}

// openStores opens the stores, and waits for cfg.LockTimeout while another
// process has them: a predecessor that stops needs some seconds, and to fail
// meanwhile would make a supervisor back off for longer.
func (s *server) openStores(ctx context.Context) (err error) {
	const pause = 100 * time.Millisecond
	for deadline, told := time.Now().Add(time.Duration(s.cfg.LockTimeout)), false; ; {
		s.stores, err = openStores(ctx, s.cfg, s.log, s.fail)
		locked := errors.Is(err, meta.ErrLocked) || errors.Is(err, data.ErrInUse)
		if !locked || time.Now().Add(pause).After(deadline) {
			return err
		}
		if !told {
			s.log.Info("waiting for another process", "timeout", time.Duration(s.cfg.LockTimeout), "cause", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// fail stops the server because a store has failed: what is in memory may not
// be what is on disk, so nothing may be acknowledged any more. The process
// ends and is started again, which recovers from what is durable.
func (s *server) fail(err error) {
	s.health.fail(err)
	select {
	case s.fatal <- err:
	default:
	}
}

func (s *server) assemble(ctx context.Context) error {
	ids, err := s.stores.fs.EnsureShares(ctx, s.cfg.Shares)
	if err != nil {
		return err
	}
	if s.exports, err = export.NewTable(s.cfg.Shares, ids); err != nil {
		return err
	}
	nfs := sunrpc.Program{Number: v3.Program, Name: "nfs", Versions: []sunrpc.Version{
		v3.New(v3.Config{FS: s.stores.fs, Handles: s.stores.fs.Handles(), Exports: s.exports, Logger: s.log}),
	}}
	mount := sunrpc.Program{Number: mount3.Program, Name: "mount", Versions: []sunrpc.Version{
		mount3.New(mount3.Config{FS: s.stores.fs, Handles: s.stores.fs.Handles(), Exports: s.exports, Logger: s.log}),
	}}
	for _, p := range []sunrpc.Program{nfs, mount} {
		s.metrics.statusName[p.Name] = p.Versions[0].StatusName
	}
	s.stores.register(s.metrics)
	s.rpc, err = sunrpc.NewServer(sunrpc.Options{
		Logger: s.log, Programs: []sunrpc.Program{nfs, mount}, Observer: s.metrics,
	})
	return err
}

func (s *server) serve(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.rpc.Serve(ln) }()
	s.health.ready.Store(true)
	s.log.Info("serving", "nfs", ln.Addr().String(), "admin", s.cfg.Admin.Listen,
		"shares", len(s.cfg.Shares), "metadata", string(s.cfg.Metadata.Type), "content", string(s.cfg.Content.Type), "version", s.opt.Version)
	if s.opt.Listening != nil {
		s.opt.Listening(ln.Addr())
	}
	err := s.wait(ctx, served)
	s.health.ready.Store(false)
	if err == nil {
		err = s.drain(served)
	}
	return errors.Join(err, s.stop())
}

// drain goes on serving for a while, not ready any more: a client that comes
// back at once when its connection is closed must not be sent here again by a
// proxy that has not noticed. It would wait for minutes for an answer from an
// address that is gone.
func (s *server) drain(served <-chan error) error {
	if s.cfg.ShutdownDelay == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.cfg.ShutdownDelay))
	defer cancel()
	return s.wait(ctx, served)
}

// wait returns nil when the server is asked to stop, or why it must.
func (s *server) wait(ctx context.Context, served <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("NFS listener: %w", err)
		case err := <-s.fatal:
			return fmt.Errorf("a store failed; restart the server to recover: %w", err)
		case <-s.stores.log.Failed():
			s.health.fail(s.stores.log.Err())
			return fmt.Errorf("the metadata store failed; restart the server to recover: %w", s.stores.log.Err())
		case next := <-s.opt.Reload:
			s.reload(ctx, next)
		}
	}
}

// reload makes a changed configuration current, as far as that goes without a
// restart.
func (s *server) reload(ctx context.Context, next *config.Config) {
	live, restart := config.Diff(s.cfg, next)
	if len(restart) > 0 {
		s.log.Warn("configuration changes wait for a restart", "keys", restart)
	}
	if len(live) == 0 {
		return
	}
	ids, err := s.stores.fs.EnsureShares(ctx, next.Shares)
	if err == nil {
		err = s.exports.Replace(next.Shares, ids)
	}
	if err != nil {
		s.log.Error("configuration not applied", "error", err)
		return
	}
	s.cfg.Shares, s.cfg.Logging.Level = next.Shares, next.Logging.Level
	if s.opt.Level != nil {
		if err := s.opt.Level.UnmarshalText([]byte(next.Logging.Level)); err != nil {
			s.log.Error("logging.level not applied", "error", err)
		}
	}
	s.log.Info("configuration applied", "keys", live)
}

// stop ends the server gracefully within the time-out: no new requests, what
// is in flight is finished, everything is synced.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.cfg.ShutdownTimeout))
	defer cancel()
	start := time.Now()
	s.log.Info("stopping", "timeout", time.Duration(s.cfg.ShutdownTimeout))
	err := errors.Join(s.rpc.Shutdown(ctx), s.stores.close(ctx))
	if err != nil {
		return fmt.Errorf("stopped with loss of unstable data only: %w", err)
	}
	s.log.Info("stopped", "after", time.Since(start).Round(time.Millisecond))
	return nil
}
