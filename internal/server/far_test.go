package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/pgserver"
	"github.com/dittofs/dittofs/test/s3server"
)

var outage = flag.Duration("outage", 4*time.Second, "how long stores are away in tests")

func TestMain(m *testing.M) { pgserver.Main(m) }

// far is a configuration over a real S3 server and a real database.
type far struct {
	*config.Config
	s3     *s3server.Server
	bucket string
	db     *pgserver.Server
}

func farStores(t *testing.T, durability config.Durability) far {
	t.Helper()
	f := far{s3: s3server.Start(t, s3server.Options{}), db: pgserver.Shared(t)}
	f.bucket = f.s3.Bucket(t)
	dsn := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(dsn, []byte(f.db.DSN(f.db.NewDatabase(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Parse(fmt.Appendf(nil, `
cache: {path: %s, size: 256MiB, flush_interval: 1s}
metadata: {type: postgres, dsn_file: %s, owner_lease: 2s}
content: {type: s3, bucket: %s, endpoint: "%s", credentials_file: %s}
durability: %s
nfs: {listen: "127.0.0.1:0"}
admin: {listen: "%s"}
shares: [{name: export, path: /export, squash: none}]
`, filepath.Join(t.TempDir(), "cache"), dsn, f.bucket, f.s3.Endpoint, f.s3.Credentials(t), durability, freeAddress(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Config = cfg
	return f
}

func blob(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
}

func TestWithRemoteDurabilityTheCacheVolumeMayBeLost(t *testing.T) {
	f := farStores(t, config.DurabilityRemote)
	r := start(t, f.Config)
	c := r.dial(t)
	root := mount(t, c, "/export")
	small, large := blob(4096), blob(3<<20)
	first := put(t, c, root, "small", small, nfsclient.FileSync)
	second := put(t, c, root, "large", nil, nfsclient.Unstable)
	for off := 0; off < len(large); off += 1 << 20 {
		if _, err := c.Write(second, uint64(off), large[off:off+1<<20], nfsclient.Unstable); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Commit(second, 0, 0); err != nil {
		t.Fatal(err)
	}
	// Not stopped: what is on the cache volume now is all that a dead node has,
	// and none of it is used.
	lost := f
	again := *f.Config
	again.Cache.Path = filepath.Join(t.TempDir(), "new")
	again.Admin.Listen = freeAddress(t)
	lost.Config = &again
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, lost.Config)
	c = r.dial(t)
	wantData(t, c, first, small)
	for off := 0; off < len(large); off += 1 << 20 {
		got, err := c.Read(second, uint64(off), 1<<20)
		if err != nil || !bytes.Equal(got.Data, large[off:off+1<<20]) {
			t.Fatalf("at %d: %d bytes, %v", off, len(got.Data), err)
		}
	}
}

func TestNoRemoteCommitReturnsWhileTheContentStoreIsAway(t *testing.T) {
	f := farStores(t, config.DurabilityRemote)
	r := start(t, f.Config)
	c := r.dial(t)
	root := mount(t, c, "/export")
	h := put(t, c, root, "file", nil, nfsclient.Unstable)
	want := blob(64 << 10)
	f.s3.Stop()
	if _, err := c.Write(h, 0, want, nfsclient.Unstable); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	patient, err := nfsclient.Dial(r.addr, nfsclient.Options{Timeout: *outage + time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer patient.Close()
	go func() {
		_, err := patient.Commit(h, 0, 0)
		committed <- err
	}()
	select {
	case err := <-committed:
		t.Fatalf("COMMIT returned (%v) without the content store", err)
	case <-time.After(*outage):
	}
	wantData(t, c, h, want) // reads go on
	if err := f.s3.Resume(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-committed:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("COMMIT does not return though the content store is back")
	}
}

func TestWritersStallAndGoOnWhenTheContentStoreIsAway(t *testing.T) {
	f := farStores(t, config.DurabilityLocal)
	r := start(t, f.Config)
	c := r.dial(t)
	root := mount(t, c, "/export")
	f.s3.Stop()
	began := time.Now()
	var written, stalls atomic.Int64
	var handles []nfsclient.Handle
	var sums [][]byte
	ended := make(chan error, 1)
	const files, size = 6, 64 << 20 // more than the cache
	go func() {
		ended <- func() error {
			for i := range files {
				n, err := c.Create(root, fmt.Sprint("f", i), nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
				if err != nil {
					return err
				}
				handles = append(handles, n.Handle)
				p := blob(1 << 20)
				sums = append(sums, p)
				for off := 0; off < size; off += len(p) {
					for {
						_, err := c.Write(n.Handle, uint64(off), p, nfsclient.FileSync)
						if errors.Is(err, nfsclient.Status(10008)) { // JUKEBOX
							stalls.Add(1)
							time.Sleep(100 * time.Millisecond)
							continue
						}
						if err != nil {
							return fmt.Errorf("file %d at %d: %w", i, off, err)
						}
						break
					}
					written.Add(int64(len(p)))
				}
			}
			return nil
		}()
	}()
	for time.Since(began) < *outage {
		select {
		case err := <-ended:
			t.Fatalf("%d bytes were written into a cache of 256 MiB: %v", written.Load(), err)
		case <-time.After(50 * time.Millisecond):
		}
		if n := diskUse(t, f.Cache.Path); n > int64(f.Cache.Size) {
			t.Fatalf("%d bytes in a cache of %d", n, f.Cache.Size)
		}
	}
	t.Logf("after %v without the store: %d MiB acknowledged, %d calls told to come again",
		*outage, written.Load()>>20, stalls.Load())
	if err := f.s3.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for i, h := range handles {
		for off := 0; off < size; off += 1 << 20 {
			got, err := c.Read(h, uint64(off), 1<<20)
			if err != nil || !bytes.Equal(got.Data, sums[i]) {
				t.Fatalf("file %d at %d: %v", i, off, err)
			}
		}
	}
	t.Logf("%d MiB written and read back", written.Load()>>20)
}

// diskUse is what a directory takes, in bytes.
func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil {
			n += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return n
}

func TestStoresThatAreAwayAreNamedAndClearedWhileServing(t *testing.T) {
	f := farStores(t, config.DurabilityLocal)
	r := start(t, f.Config)
	c := r.dial(t)
	root := mount(t, c, "/export")
	h := put(t, c, root, "file", []byte("before"), nfsclient.FileSync)

	f.s3.Stop()
	eventually(t, "S3 is named", func() bool {
		code, body := r.get(t, "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "content: Unreachable: content.endpoint")
	})
	if code, body := r.get(t, "/readyz?exclude=content"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	if _, err := c.Write(h, 0, []byte("during"), nfsclient.FileSync); err != nil {
		t.Errorf("a write while S3 is away: %v", err)
	}
	if err := f.s3.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "S3 is back", func() bool { code, _ := r.get(t, "/readyz"); return code == http.StatusOK })

	db := pgserver.Start(t, pgserver.Options{})
	dsn := []byte(db.DSN(db.NewDatabase(t)))
	own := *f.Config
	own.Cache.Path = filepath.Join(t.TempDir(), "cache")
	own.Content.Prefix = "other/"
	own.Admin.Listen = freeAddress(t)
	own.Metadata.DSNFile = filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(own.Metadata.DSNFile, dsn, 0o600); err != nil {
		t.Fatal(err)
	}
	r = start(t, &own)
	c = r.dial(t)
	root = mount(t, c, "/export")
	if err := db.StopImmediately(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "PostgreSQL is named", func() bool {
		code, body := r.get(t, "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "metadata: Unreachable")
	})
	made := make(chan error, 1)
	go func() {
		_, err := r.dial(t).Mkdir(root, "during", nfsclient.SetAttr{})
		made <- err
	}()
	select {
	case err := <-made:
		t.Fatalf("MKDIR returned (%v) without the database", err)
	case <-time.After(time.Second):
	}
	if err := db.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Fatalf("MKDIR after the database is back: %v", err)
	}
	eventually(t, "PostgreSQL is back", func() bool { code, _ := r.get(t, "/readyz"); return code == http.StatusOK })
}

func TestAServerStopsInTimeWhileItsDatabaseIsAway(t *testing.T) {
	f := farStores(t, config.DurabilityLocal)
	db := pgserver.Start(t, pgserver.Options{})
	if err := os.WriteFile(f.Metadata.DSNFile, []byte(db.DSN(db.NewDatabase(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	f.ShutdownTimeout = config.Duration(time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	r := &running{admin: f.Admin.Listen}
	listening := make(chan string, 1)
	go func() {
		ended <- Run(ctx, f.Config, Options{
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Version: "test",
			Listening: func(a net.Addr) { listening <- a.String() },
		})
	}()
	r.addr = <-listening
	c := r.dial(t)
	root := mount(t, c, "/export")
	if err := db.StopImmediately(); err != nil {
		t.Fatal(err)
	}
	made := make(chan error, 1)
	go func() {
		_, err := c.Mkdir(root, "during", nfsclient.SetAttr{})
		made <- err
	}()
	eventually(t, "the MKDIR waits for the database", func() bool {
		_, body := r.get(t, "/metrics")
		return strings.Contains(body, "dittofs_metadata_waiting 1\n")
	})
	began := time.Now()
	cancel()
	// Right is shutdown_timeout and abortAfter, 3 s. The rest is for a busy machine.
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it says that everything was committed")
		}
		if took := time.Since(began); took < time.Duration(f.ShutdownTimeout) || took > 15*time.Second {
			t.Errorf("stopped after %v, with a shutdown_timeout of %v", took, time.Duration(f.ShutdownTimeout))
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not stop")
	}
	if err := <-made; err == nil {
		t.Error("MKDIR was acknowledged without the database")
	}
}

func TestAStoreThatRefusesTheServerEndsTheStartAndIsNamed(t *testing.T) {
	f := farStores(t, config.DurabilityLocal)
	tests := map[string]struct {
		change func(*config.Config)
		reason string
		named  string
	}{
		"bucket":      {func(c *config.Config) { c.Content.Bucket = "nowhere" }, fault.BucketNotFound, "content.bucket"},
		"credentials": {func(c *config.Config) { c.Content.CredentialsFile = wrongCredentials(t) }, fault.InvalidCredentials, "content.credentials_file"},
		"database":    {func(c *config.Config) { c.Metadata.DSNFile = wrongDatabase(t, f.db) }, fault.DatabaseNotFound, "metadata.dsn_file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := *f.Config
			cfg.Cache.Path = filepath.Join(t.TempDir(), "cache")
			test.change(&cfg)
			err := Run(t.Context(), &cfg, Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
			at := fault.Of(err)
			var field interface{ ConfigField() string }
			if at == nil || at.Reason != test.reason || !errors.As(err, &field) || !strings.Contains(err.Error(), test.named) {
				t.Errorf("%+v: %v", at, err)
			}
		})
	}
}

func wrongCredentials(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte("[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func wrongDatabase(t *testing.T, db *pgserver.Server) string {
	path := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(path, []byte(db.DSN("absent")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
