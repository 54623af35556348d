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
	"strings"
	"time"

	"github.com/dittofs/dittofs/internal/control"
	"github.com/dittofs/dittofs/internal/export"
	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/nfs/mount3"
	v3 "github.com/dittofs/dittofs/internal/nfs/v3"
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

// Options are what the command line adds to the configuration.
type Options struct {
	Logger *slog.Logger
	// Level is changed when logging.level changes while running.
	Level *slog.LevelVar
	// LogCounts returns how many lines of the log nobody will read. May be nil.
	LogCounts func() logging.Counts
	// Reload delivers changed, valid configurations. May be nil.
	Reload <-chan *config.Config
	// Refused delivers why the file is none, after a change. May be nil.
	Refused <-chan string
	// Version is shown in logs and metrics.
	Version string
	// WaitForStores makes a start wait for a store that refuses this server
	// too, and not only for one that cannot be reached.
	WaitForStores bool
	// Listening is called once with the address of NFS when clients can
	// connect. May be nil.
	Listening func(nfs net.Addr)
}

// Run serves until ctx ends and for cfg.ShutdownDelay after, not ready any
// more, then stops gracefully within cfg.ShutdownTimeout: it finishes what is in flight, syncs everything and
// returns nil. An error with the method ConfigField is a fault of the
// configuration, found before anything was served.
func Run(ctx context.Context, cfg *config.Config, opt Options) error {
	return newServer(cfg, opt).run(ctx)
}

func newServer(cfg *config.Config, opt Options) *server {
	limits := limitsOf(cfg, fileLimit(), callMemoryLimit())
	s := &server{
		cfg: cfg, opt: opt, log: opt.Logger, fatal: make(chan error, 1),
		metrics: newMetrics(opt.Version), state: newState(opt.Version), started: time.Now(),
		control: control.NewServer(control.Options{Logger: opt.Logger, Version: opt.Version, MaxConnections: limits.control}),
		limits:  limits,
	}
	if opt.LogCounts != nil {
		s.metrics.log(opt.LogCounts)
	}
	return s
}

func (s *server) run(ctx context.Context) (err error) {
	cfg := s.cfg
	s.log.Info("starting", "version", s.opt.Version, "metadata", metadataPlace(cfg), "content", contentPlace(cfg),
		"cache", cfg.Cache.Path)
	if err := checkDescriptors(fileLimit()); err != nil {
		return err
	}
	commands, err := s.commandsOverTCP()
	if err != nil {
		return err
	}
	// The probes answer first, so that a slow start shows as not ready.
	if s.admin, err = newAdmin(cfg.Admin.Listen, s.limits.admin, s.state, s.metrics, commands, s.log); err != nil {
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
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil // asked to stop while it waited
		}
		return err
	}
	s.nfs = ln.Addr()
	s.state.identify(s.stores.instance)
	err = s.assemble(ctx)
	if err == nil {
		err = s.startControl()
	}
	if err != nil {
		return errors.Join(err, s.stores.close(context.Background()))
	}
	return s.serve(ctx, ln)
}

type server struct {
	cfg     *config.Config
	opt     Options
	log     *slog.Logger
	metrics *metrics
	state   *state
	admin   *admin
	stores  *stores
	exports *export.Table
	rpc     *sunrpc.Server
	control *control.Server
	limits  listenerLimits
	mounts  mount3.Mounts
	nfs     net.Addr
	started time.Time
	fatal   chan error
}

func (s *server) openStores(ctx context.Context) (err error) {
	o := &opener{
		state: s.state, logger: s.log, patient: s.opt.WaitForStores,
		deadline: time.Now().Add(time.Duration(s.cfg.LockTimeout)),
	}
	s.stores, err = openStores(ctx, s.cfg, s.log, o, s.fail)
	return err
}

// fail stops the server because a store has failed: what is in memory may not
// be what is on disk, so nothing may be acknowledged any more. The process
// ends and is started again, which recovers from what is durable.
func (s *server) fail(err error) {
	s.state.fail(err)
	select {
	case s.fatal <- err:
	default:
	}
}

func (s *server) assemble(ctx context.Context) error {
	ids, err := ensureShares(ctx, s.stores.fs, s.cfg.Shares)
	if err != nil {
		return err
	}
	if s.exports, err = export.NewTable(s.cfg.Shares, ids); err != nil {
		return err
	}
	s.warnOfRoots(ctx, nil, s.cfg.Shares, ids)
	nfs := sunrpc.Program{Number: v3.Program, Name: "nfs", Versions: []sunrpc.Version{
		v3.New(v3.Config{FS: s.stores.fs, Handles: s.stores.fs.Handles(), Exports: s.exports, Logger: s.log}),
	}}
	mount := sunrpc.Program{Number: mount3.Program, Name: "mount", Versions: []sunrpc.Version{
		mount3.New(mount3.Config{
			FS: s.stores.fs, Handles: s.stores.fs.Handles(), Exports: s.exports, Logger: s.log, Mounts: &s.mounts,
		}),
	}}
	for _, p := range []sunrpc.Program{nfs, mount} {
		for _, v := range p.Versions {
			s.metrics.statusName[programVersion{p.Name, v.Number}] = v.StatusName
		}
	}
	s.stores.register(s.metrics)
	s.stores.registerFigures(s.metrics, s.cfg)
	s.stores.registerRemote(s.metrics)
	s.stores.registerBackup(s.metrics)
	s.state.showBackups(s.backupHealth)
	s.rpc, err = sunrpc.NewServer(sunrpc.Options{
		Logger: s.log, Programs: []sunrpc.Program{nfs, mount}, Observer: s.metrics,
		MaxConns: s.limits.clients, MaxBytes: callMemoryLimit(),
	})
	if err == nil {
		s.registerCallMemory()
	}
	return err
}

func (s *server) serve(ctx context.Context, ln net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.rpc.Serve(ln) }()
	watching, stopWatching := context.WithCancel(context.Background())
	defer stopWatching()
	s.stores.watch(watching, s.state, s.log)
	backups := s.startBackups(watching)
	s.state.applied(s.cfg.File)
	s.state.enter(health.Serving)
	s.log.Info("serving", "nfs", ln.Addr().String(), "admin", s.cfg.Admin.Listen,
		"shares", len(s.cfg.Shares), "metadata", string(s.cfg.Metadata.Type), "content", string(s.cfg.Content.Type),
		"version", s.opt.Version)
	if s.opt.Listening != nil {
		s.opt.Listening(ln.Addr())
	}
	err := s.wait(ctx, served)
	s.state.enter(health.Stopping)
	if err == nil {
		err = s.drain(served)
	}
	stopWatching()
	backups.Wait() // they use the stores
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
			s.state.fail(s.stores.log.Err())
			return fmt.Errorf("the metadata store failed; restart the server to recover: %w", s.stores.log.Err())
		case next := <-s.opt.Reload:
			s.reload(ctx, next)
		case why := <-s.opt.Refused:
			s.state.notApplied(why)
		}
	}
}

// reload makes a changed configuration current, as far as that goes without a
// restart, and tells the probes when all of it is in effect.
func (s *server) reload(ctx context.Context, next *config.Config) {
	changed := config.Diff(s.cfg, next)
	if keys := changed[config.Restart]; len(keys) > 0 {
		s.log.Warn("configuration changes wait for a restart", "keys", keys)
	}
	if len(changed[config.Live])+len(changed[config.AtBirth]) > 0 {
		if err := s.apply(ctx, next); err != nil {
			s.log.Error("configuration not applied", "error", err)
			s.state.notApplied(err.Error())
			return
		}
	}
	if keys := changed[config.Live]; len(keys) > 0 {
		s.log.Info("configuration applied", "keys", keys)
	}
	if keys := changed[config.Restart]; len(keys) > 0 {
		s.state.notApplied("these keys wait for a restart: " + strings.Join(keys, ", "))
		return
	}
	s.state.applied(next.File)
}

// apply makes the keys that are live those of next.
func (s *server) apply(ctx context.Context, next *config.Config) error {
	if err := checkExpected(next, metadataField(next), s.stores.instance); err != nil {
		return err
	}
	ids, err := ensureShares(ctx, s.stores.fs, next.Shares)
	if err == nil {
		err = s.exports.Replace(next.Shares, ids)
	}
	if err != nil {
		return err
	}
	if s.opt.Level != nil {
		if err := s.opt.Level.UnmarshalText([]byte(next.Logging.Level)); err != nil {
			return fmt.Errorf("logging.level: %w", err)
		}
	}
	s.warnOfRoots(ctx, s.cfg.Shares, next.Shares, ids)
	s.cfg.Shares, s.cfg.Logging = next.Shares, next.Logging
	s.cfg.Metadata.ExpectedInstance = next.Metadata.ExpectedInstance
	return nil
}

// abortAfter is how much longer than shutdown_timeout commits may take that
// were under way then.
const abortAfter = 2 * time.Second

// stop ends the server gracefully within the time-out: no new requests, what
// is in flight is finished, everything is synced.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.cfg.ShutdownTimeout))
	defer cancel()
	start := time.Now()
	s.log.Info("stopping", "timeout", time.Duration(s.cfg.ShutdownTimeout))
	// A metadata store that is away would hold the rest up for ever. One that is
	// known to be has no time on top.
	overdueAfter := time.Duration(s.cfg.ShutdownTimeout) + abortAfter
	report := s.state.report(nil)
	if c := report.Find(health.Metadata); c != nil && !c.OK {
		overdueAfter = time.Duration(s.cfg.ShutdownTimeout) * 3 / 4
	}
	overdue := time.AfterFunc(overdueAfter, func() {
		s.stores.log.Abort(errors.New("the metadata store did not answer before shutdown_timeout"))
	})
	defer overdue.Stop()
	// Operations use the stores, so they end first.
	s.stopControl(ctx)
	err := errors.Join(s.rpc.Shutdown(ctx), s.stores.close(ctx))
	if err != nil {
		return fmt.Errorf("stopped with loss of unstable data only: %w", err)
	}
	s.log.Info("stopped", "after", time.Since(start).Round(time.Millisecond))
	return nil
}

// ensureShares makes the shares of a configuration known to the filesystem.
func ensureShares(ctx context.Context, fs *vfs.FS, shares []config.Share) (map[string]uint32, error) {
	specs, err := export.Specs(shares)
	if err != nil {
		return nil, err
	}
	return fs.EnsureShares(ctx, specs)
}
