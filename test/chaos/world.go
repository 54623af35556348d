package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/test/faultproxy"
	"github.com/dittofs/dittofs/test/pgserver"
	"github.com/dittofs/dittofs/test/process"
	"github.com/dittofs/dittofs/test/s3server"
)

const (
	cacheSize = 64 << 20
	// diskSize is room for the cache and the metadata beside it.
	diskSize = cacheSize + 192<<20
	bucket   = "chaos"
)

// combination is what the server keeps its files in.
type combination struct {
	name         string
	postgres, s3 bool
	remote       bool
}

func newCombination(name string) (c combination, err error) {
	parts := strings.Split(name, "+")
	bad := fmt.Errorf("stores %q: want pebble or postgres, filesystem or s3, and remote or nothing, joined by +", name)
	if len(parts) < 2 || len(parts) > 3 {
		return c, bad
	}
	c = combination{name: name, postgres: parts[0] == "postgres", s3: parts[1] == "s3", remote: len(parts) == 3}
	if !c.postgres && parts[0] != "pebble" || !c.s3 && parts[1] != "filesystem" || c.remote && parts[2] != "remote" {
		return c, bad
	}
	return c, nil
}

// world is a server and everything below it.
type world struct {
	combination
	dir     string
	disk    string // a small filesystem with the cache, and the metadata of Pebble
	server  *process.Server
	clock   *clock
	pg      *pgserver.Server
	objects *s3server.Server
	proxy   *faultproxy.Proxy

	stopping atomic.Bool // the supervisor starts no server again
	lost     atomic.Bool // it removes the cache before the next start
	starts   starts
}

// open starts the stores, and mounts the disk. What was started is in the world also after an error.
func (w *world) open(binary string) error {
	w.disk = filepath.Join(w.dir, "disk")
	if err := os.MkdirAll(w.disk, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("chaos", w.disk, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", diskSize)); err != nil {
		return fmt.Errorf("mount of a small disk: %w", err)
	}
	var err error
	if w.clock, err = newClock(filepath.Join(w.dir, "clock")); err != nil {
		return err
	}
	if w.server, err = process.New(binary, w.dir); err != nil {
		return err
	}
	w.server.Env = []string{clockVariable + "=" + w.clock.path}
	sections := fmt.Sprintf("cache: {path: %s, size: %d, flush_interval: 1s, full_timeout: 15s, page_size: 256KiB, "+
		"read_ahead: 1MiB}\n", w.cache(), cacheSize)
	if w.remote {
		sections += "durability: remote\n"
	}
	metadata, err := w.openMetadata()
	if err != nil {
		return err
	}
	content, err := w.openContent()
	if err != nil {
		return err
	}
	return w.server.Configure(sections + metadata + content)
}

func (w *world) cache() string { return filepath.Join(w.disk, "cache") }

func (w *world) openMetadata() (string, error) {
	if !w.postgres {
		return fmt.Sprintf("metadata: {type: pebble, path: %s/metadata}\n", w.disk), nil
	}
	dir := filepath.Join(w.dir, "postgres")
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		w.pg, err = pgserver.Launch(dir, pgserver.Options{Fsync: true})
	}
	if err != nil {
		return "", err
	}
	if err := w.pg.Exec("CREATE DATABASE chaos"); err != nil {
		return "", err
	}
	dsn := filepath.Join(w.dir, "dsn")
	if err := os.WriteFile(dsn, []byte(w.pg.DSN("chaos")), 0o600); err != nil {
		return "", err
	}
	return fmt.Sprintf("metadata: {type: postgres, dsn_file: %s, owner_lease: 2s}\n", dsn), nil
}

func (w *world) openContent() (string, error) {
	if !w.s3 {
		return fmt.Sprintf("content: {type: filesystem, path: %s/content}\n", w.dir), nil
	}
	var err error
	if w.objects, err = s3server.Launch(filepath.Join(w.dir, "s3"), s3server.Options{}); err != nil {
		return "", err
	}
	if err := w.objects.MakeBucket(bucket); err != nil {
		return "", err
	}
	if w.proxy, err = faultproxy.New(w.objects.Endpoint); err != nil {
		return "", err
	}
	credentials := filepath.Join(w.dir, "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		w.objects.AccessKey, w.objects.SecretKey)
	return fmt.Sprintf("content: {type: s3, bucket: %s, endpoint: %q, region: %s, credentials_file: %s}\n",
			bucket, w.proxy.URL(), w.objects.Region, credentials),
		os.WriteFile(credentials, []byte(text), 0o600)
}

// close ends everything that open started.
func (w *world) close() error {
	var errs []error
	w.stopping.Store(true)
	if w.server != nil {
		w.server.Signal(syscall.SIGKILL)
	}
	if w.proxy != nil {
		w.proxy.Close()
	}
	if w.objects != nil {
		w.objects.Stop()
	}
	if w.pg != nil {
		errs = append(errs, w.pg.Kill())
	}
	errs = append(errs, unix.Unmount(w.disk, unix.MNT_DETACH))
	return errors.Join(errs...)
}
