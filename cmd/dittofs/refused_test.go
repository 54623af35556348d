package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/pkg/health"
)

// A file that cannot be used is told in the report as well, whose readers see no log.
func TestTheReportSaysWhyAChangedFileIsNotUsed(t *testing.T) {
	c := startControlled(t)
	text, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	c.waitReport(t, "")
	write(t, c.file, string(text)+"sharse: []\n")
	c.waitReport(t, "sharse")
	write(t, c.file, string(text))
	c.waitReport(t, "")
	// The next start would fail for it.
	if err := os.Remove(c.file); err != nil {
		t.Fatal(err)
	}
	c.waitReport(t, "no such file")
	write(t, c.file, string(text))
	c.waitReport(t, "")
}

// waitReport waits until the report has a fault of the configuration with the word in it, or none.
func (c *controlled) waitReport(t *testing.T, word string) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		var report health.Report
		resp, err := http.Get(c.admin + "/readyz?format=json")
		if err == nil {
			err = json.NewDecoder(resp.Body).Decode(&report)
			resp.Body.Close()
		}
		switch {
		case err == nil && (report.ConfigFault == "") == (word == "") && strings.Contains(report.ConfigFault, word):
			return
		case time.Now().After(deadline):
			t.Fatalf("report %+v, error %v; want a fault with %q", report, err, word)
		}
	}
}
