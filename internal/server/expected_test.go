package server

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

func (r *running) report(t *testing.T) health.Report {
	t.Helper()
	_, body := r.get(t, "/readyz?format=json")
	var report health.Report
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return report
}

// firstStart serves once and returns the name of the filesystem.
func firstStart(t *testing.T, cfg *config.Config) string {
	t.Helper()
	r := start(t, cfg)
	instance := r.report(t).Instance
	if len(instance) != 32 {
		t.Fatalf("the report names the filesystem %q", instance)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	return instance
}

// wantRefused starts a server that must end with a fault of a key (exit code 2).
func wantRefused(t *testing.T, cfg *config.Config, field, contains string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Run(ctx, cfg, Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), WaitForStores: true})
	var at *FieldError
	if !errors.As(err, &at) || at.Field != field || !strings.Contains(err.Error(), contains) ||
		!strings.Contains(err.Error(), config.ExpectedInstanceKey) {
		t.Errorf("want a refusal at %s with %q, got %v", field, contains, err)
	}
}

func TestAServerStartsOverTheFilesystemThatIsExpected(t *testing.T) {
	cfg := configuration(t, t.TempDir())
	cfg.Metadata.ExpectedInstance = firstStart(t, cfg)
	if again := firstStart(t, cfg); again != cfg.Metadata.ExpectedInstance {
		t.Errorf("the filesystem was %s and is %s", cfg.Metadata.ExpectedInstance, again)
	}
}

func TestEmptiedDirectoriesAreRefusedAndNothingIsMade(t *testing.T) {
	for name, field := range map[string]string{
		"metadata": "metadata.path", "content": "content.path", "cache": "cache.path", "": "metadata.path",
	} {
		t.Run("without "+name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := configuration(t, dir)
			cfg.Metadata.ExpectedInstance = firstStart(t, cfg)
			for _, part := range []string{"metadata", "content", "cache"} {
				if name == "" || name == part {
					if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := entries(t, dir)
			wantRefused(t, cfg, field, "the filesystem is "+cfg.Metadata.ExpectedInstance)
			if after := entries(t, dir); after != before {
				t.Errorf("there was\n%s\nand now is\n%s", before, after)
			}
		})
	}
}

// entries lists all that is in a directory, but not what an opened metadata
// store does to its own files.
func entries(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "metadata" {
			all = append(all, path)
			return fs.SkipDir
		}
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func TestAnotherFilesystemIsRefused(t *testing.T) {
	mine, other := configuration(t, t.TempDir()), configuration(t, t.TempDir())
	mine.Metadata.ExpectedInstance = firstStart(t, mine)
	instance := firstStart(t, other)

	other.Metadata.ExpectedInstance = mine.Metadata.ExpectedInstance
	wantRefused(t, other, "cache.path", "it holds filesystem "+instance)
	exchanged := *mine
	exchanged.Metadata.Path = other.Metadata.Path
	wantRefused(t, &exchanged, "metadata.path", "it holds filesystem "+instance)
}

func TestEmptiedBucketAndDatabaseAreRefusedAndNothingIsMade(t *testing.T) {
	f := farStores(t, config.DurabilityRemote)
	f.Metadata.ExpectedInstance = firstStart(t, f.Config)

	emptied := *f.Config
	emptied.Content.Bucket = f.s3.Bucket(t)
	wantRefused(t, &emptied, "content.bucket", "the content store holds no filesystem")
	emptied = *f.Config
	emptied.Content.Prefix = "other/"
	wantRefused(t, &emptied, "content.bucket", "the content store holds no filesystem")

	recreated := *f.Config
	recreated.Metadata.DSNFile = filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(recreated.Metadata.DSNFile, []byte(f.db.DSN(f.db.NewDatabase(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first start has made no tables
		wantRefused(t, &recreated, "metadata.dsn_file", "holds no metadata of dittofs")
	}
	// The cache alone may be lost: the stores have what was acknowledged.
	if err := os.RemoveAll(f.Cache.Path); err != nil {
		t.Fatal(err)
	}
	if again := firstStart(t, f.Config); again != f.Metadata.ExpectedInstance {
		t.Errorf("the filesystem was %s and is %s", f.Metadata.ExpectedInstance, again)
	}
}

func TestAMissingSecretIsNoOtherFilesystem(t *testing.T) {
	cfg := configuration(t, t.TempDir())
	cfg.Metadata = config.Metadata{Type: config.MetadataPostgres, DSNFile: filepath.Join(t.TempDir(), "dsn")}
	for _, expected := range []string{"", "0123456789abcdef0123456789abcdef"} {
		cfg.Metadata.ExpectedInstance = expected
		_, err := openMetadata(t.Context(), cfg, 0, true, slog.New(slog.DiscardHandler))
		if at := fault.Of(err); at == nil || at.Reason != fault.InvalidConfiguration ||
			strings.Contains(err.Error(), config.ExpectedInstanceKey) {
			t.Errorf("with %q expected: a server that can wait for the file is told %v", expected, err)
		}
	}
}

func TestTheReportNamesTheConfigurationThatIsInEffectAsAWhole(t *testing.T) {
	cfg := configuration(t, t.TempDir())
	cfg.File = "first"
	r := start(t, cfg)
	reload := func(file string, change func(*config.Config)) {
		next := *cfg
		next.Shares = append([]config.Share(nil), cfg.Shares...)
		next.File = file
		change(&next)
		r.reload <- &next
	}
	want := func(hash, fault string) {
		t.Helper()
		var last health.Report
		eventually(t, "the report of "+hash, func() bool {
			last = r.report(t)
			return last.ConfigHash == hash && strings.Contains(last.ConfigFault, fault) &&
				(fault != "") == (last.ConfigFault != "")
		})
	}
	want("first", "")
	reload("comment", func(*config.Config) {})
	want("comment", "")
	reload("quota", func(c *config.Config) { c.Shares[0].Quota.Bytes = 1 << 20 })
	want("quota", "")
	reload("format", func(c *config.Config) { c.Logging.Format = "json" })
	want("format", "")
	reload("port", func(c *config.Config) { c.Shares[0].ReadOnly = true; c.Cache.Size *= 2 })
	want("format", "wait for a restart: cache.size")
	reload("back", func(c *config.Config) { c.Shares[0].ReadOnly = true })
	want("back", "")
	reload("other", func(c *config.Config) { c.Metadata.ExpectedInstance = strings.Repeat("0", 32) })
	want("back", config.ExpectedInstanceKey)
	reload("same", func(c *config.Config) { c.Metadata.ExpectedInstance = r.report(t).Instance })
	want("same", "")
}
