// Package nfstest runs NFS and MOUNT on loopback over a real filesystem and
// real stores in a temporary directory, for the tests of the protocol
// packages.
//
//	srv := nfstest.Start(t, nfstest.Pebble, config.Share{Name: "export"})
//	c := srv.Dial(nfsclient.Options{})
//	root := srv.Mount(c, "/export")
package nfstest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/content/filesystem"
	contentmemory "github.com/dittofs/dittofs/internal/content/memory"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/export"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	metamemory "github.com/dittofs/dittofs/internal/meta/memory"
	"github.com/dittofs/dittofs/internal/meta/paircache"
	"github.com/dittofs/dittofs/internal/meta/pebble"
	"github.com/dittofs/dittofs/internal/nfs/mount3"
	v3 "github.com/dittofs/dittofs/internal/nfs/v3"
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/layout"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// Stores says what the filesystem is made of.
type Stores string

// Stores of these tests: everything in memory, or as in the default
// configuration.
const (
	Memory Stores = "memory"
	Pebble Stores = "pebble"
)

// All are the stores that every test of the protocol runs on.
var All = []Stores{Memory, Pebble}

const instance = "0123456789abcdef0123456789abcdef"

// Server is a running server.
type Server struct {
	testing.TB
	Addr    string
	FS      *vfs.FS
	Exports *export.Table
	IDs     map[string]uint32 // of the shares, by name

	dir  string
	kind Stores
	stop sync.Once
	rpc  *sunrpc.Server
	log  *commit.Log
	data *data.Store
}

// Start starts a server with the shares; what they leave out is as in a
// configuration, but for squash, which is none. It is stopped when the test
// ends.
func Start(t testing.TB, kind Stores, shares ...config.Share) *Server {
	t.Helper()
	return start(t, t.TempDir(), kind, shares)
}

// Restart stops the server and starts it again over the same stores, at
// another address.
func (s *Server) Restart(shares ...config.Share) *Server {
	s.Helper()
	s.Stop()
	return start(s.TB, s.dir, s.kind, shares)
}

func start(t testing.TB, dir string, kind Stores, shares []config.Share) *Server {
	t.Helper()
	s := &Server{TB: t, dir: dir, kind: kind}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := s.open(logger); err != nil {
		t.Fatalf("open stores: %v", err)
	}
	shares = complete(shares)
	specs, err := export.Specs(shares)
	if err == nil {
		s.IDs, err = s.FS.EnsureShares(t.Context(), specs)
	}
	if err == nil {
		s.Exports, err = export.NewTable(shares, s.IDs)
	}
	if err == nil {
		err = s.listen(logger)
	}
	if err != nil {
		t.Fatalf("start server: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) open(logger *slog.Logger) (err error) {
	var store meta.Store = metamemory.Open()
	var objects content.Store = contentmemory.Open()
	var cache *paircache.Cache
	if s.kind == Pebble {
		if cache, err = paircache.New(paircache.MinSize); err != nil {
			return err
		}
		if store, err = pebble.Open(filepath.Join(s.dir, "metadata"), pebble.Options{Logger: logger}); err != nil {
			return err
		}
		if objects, err = filesystem.Open(filepath.Join(s.dir, "content")); err != nil {
			return err
		}
	}
	s.log = commit.NewCached(context.Background(), store, cache, layout.CachedKeys)
	opts := data.Options{
		Dir: filepath.Join(s.dir, "cache"), Content: objects, Log: s.log, Instance: instance,
		Volatile: s.kind == Memory, Logger: logger, OnFailure: func(err error) { s.Errorf("data store: %v", err) },
	}
	s.FS, err = vfs.Open(context.Background(), vfs.Options{
		Log: s.log, Data: opts.Opener(context.Background()), Logger: logger,
	})
	if err != nil {
		return err
	}
	s.data = s.FS.Data()
	return nil
}

func (s *Server) listen(logger *slog.Logger) (err error) {
	nfs := v3.New(v3.Config{FS: s.FS, Handles: s.FS.Handles(), Exports: s.Exports, Logger: logger})
	mount := mount3.New(mount3.Config{FS: s.FS, Handles: s.FS.Handles(), Exports: s.Exports, Logger: logger})
	s.rpc, err = sunrpc.NewServer(sunrpc.Options{Logger: logger, Programs: []sunrpc.Program{
		{Number: v3.Program, Name: "nfs", Versions: []sunrpc.Version{nfs}},
		{Number: mount3.Program, Name: "mount", Versions: []sunrpc.Version{mount}},
	}})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Addr = ln.Addr().String()
	go func() { _ = s.rpc.Serve(ln) }() // always ErrServerClosed
	return nil
}

func complete(shares []config.Share) []config.Share {
	out := make([]config.Share, len(shares))
	for i, sh := range shares {
		if sh.Path == "" {
			sh.Path = "/" + sh.Name
		}
		if sh.Squash == "" {
			sh.Squash = config.SquashNone
		}
		if sh.Root.Mode == "" {
			sh.Root.Mode = "0755"
		}
		if sh.Anonymous == (config.Identity{}) {
			sh.Anonymous = config.Identity{UID: 65534, GID: 65534}
		}
		out[i] = sh
	}
	return out
}

// Stop stops the server gracefully, once.
func (s *Server) Stop() {
	s.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.rpc.Shutdown(ctx); err != nil {
			s.Errorf("shutdown: %v", err)
		}
		s.FS.Close()
		if err := s.data.Close(ctx); err != nil {
			s.Errorf("close data store: %v", err)
		}
		if err := s.log.Close(); err != nil {
			s.Errorf("close metadata log: %v", err)
		}
	})
}

// Kind is what the filesystem is made of.
func (s *Server) Kind() Stores { return s.kind }

// Dial connects a client.
func (s *Server) Dial(opts nfsclient.Options) *nfsclient.Client {
	s.Helper()
	c, err := nfsclient.Dial(s.Addr, opts)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = c.Close() })
	return c
}

// Mount returns the handle of a share's path.
func (s *Server) Mount(c *nfsclient.Client, path string) nfsclient.Handle {
	s.Helper()
	h, err := c.Mount(path)
	if err != nil {
		s.Fatal(fmt.Errorf("mount %s: %w", path, err))
	}
	return h
}
