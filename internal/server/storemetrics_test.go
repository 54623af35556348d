package server

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/test/nfsclient"
)

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
	r := start(t, farStores(t, config.DurabilityRemote).Config)
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
		// The server looks after its stores now and then also when it is idle.
		got := figure(t, after, name)
		for end := time.Now().Add(10 * time.Second); got != 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			_, now := r.get(t, "/metrics")
			got = figure(t, now, name)
		}
		if got != 0 {
			t.Errorf("%s of an idle server stays %v", name, got)
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
