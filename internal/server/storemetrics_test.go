package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/pgserver"
	"github.com/dittofs/dittofs/test/s3server"
)

func TestMain(m *testing.M) { pgserver.Main(m) }

// remoteConfiguration is that of a server over PostgreSQL and S3.
func remoteConfiguration(t *testing.T) *config.Config {
	t.Helper()
	dir, db, objects := t.TempDir(), pgserver.Shared(t), s3server.Start(t, s3server.Options{})
	dsn := filepath.Join(dir, "dsn")
	if err := os.WriteFile(dsn, []byte(db.DSN(db.NewDatabase(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Parse(fmt.Appendf(nil, `
cache: {path: %s/cache, size: 256MiB}
metadata: {type: postgres, dsn_file: %s}
content: {type: s3, bucket: %s, endpoint: %q, region: %s, credentials_file: %s, addressing: path}
durability: remote
nfs: {listen: "127.0.0.1:0"}
admin: {listen: %q}
shares: [{name: export, path: /export, squash: none}]
`, dir, dsn, objects.Bucket(t), objects.Endpoint, objects.Region, objects.Credentials(t), freeAddress(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// figure returns the value of a metric, with its labels as they are shown.
func figure(t *testing.T, text, name string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		t.Errorf("metrics lack %s", name)
		return 0
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Error(err)
	}
	return value
}

func TestMetricsShowWhatPostgreSQLAndS3AreAskedFor(t *testing.T) {
	r := start(t, remoteConfiguration(t))
	c := r.dial(t)
	root := mount(t, c, "/export")
	_, before := r.get(t, "/metrics")
	const size = 100_000
	put(t, c, root, "file", bytes.Repeat([]byte("x"), size), nfsclient.FileSync)
	_, after := r.get(t, "/metrics")
	for _, want := range []struct {
		name  string
		least float64 // what one durable file adds
	}{
		{`dittofs_content_requests_total{operation="PutObject"}`, 1},
		{`dittofs_content_sent_bytes_total`, size},
		{`dittofs_metadata_round_trips_total`, 2},
	} {
		if added := figure(t, after, want.name) - figure(t, before, want.name); added < want.least {
			t.Errorf("%s grew by %v, want at least %v", want.name, added, want.least)
		}
	}
	for name, least := range map[string]float64{
		`dittofs_content_requests_total{operation="GetObject"}`: 1, // of the marker
		`dittofs_content_received_bytes_total`:                  1,
		`dittofs_metadata_connects_total`:                       2, // with that of the heart-beat
		`dittofs_metadata_connections_idle`:                     1,
	} {
		if got := figure(t, after, name); got < least {
			t.Errorf("%s is %v, want at least %v", name, got, least)
		}
	}
	for _, name := range []string{
		`dittofs_content_request_retries_total`, `dittofs_content_requests_in_flight`, `dittofs_metadata_retries_total`,
		`dittofs_metadata_connections_in_use`, `dittofs_metadata_waiting`,
	} {
		if got := figure(t, after, name); got != 0 {
			t.Errorf("%s of an idle server is %v", name, got)
		}
	}
	figure(t, after, `dittofs_content_request_errors_total`) // the proof of If-None-Match may count
}

func TestMetricsLackStoresThatAreNotThere(t *testing.T) {
	r := start(t, configuration(t, t.TempDir()))
	_, text := r.get(t, "/metrics")
	for _, name := range []string{"dittofs_content_requests_total", "dittofs_metadata_round_trips_total"} {
		if strings.Contains(text, name) {
			t.Errorf("metrics of a server on its own disks have %s", name)
		}
	}
}
