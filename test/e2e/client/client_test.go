package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTreesOfOneSeedHaveOneChecksumAndAnyChangeAnother(t *testing.T) {
	base := t.TempDir()
	sums := map[string]string{}
	for name, seed := range map[string]uint64{"a": 1, "b": 1, "c": 2} {
		dir := filepath.Join(base, name)
		if err := writeTree(dir, 40, seed); err != nil {
			t.Fatal(err)
		}
		sums[name] = mustChecksum(t, dir)
	}
	if sums["a"] != sums["b"] || sums["a"] == sums["c"] {
		t.Errorf("checksums: %v", sums)
	}
	changes := map[string]func(string) error{
		"content":     func(f string) error { return os.WriteFile(f, []byte("other"), 0o644) },
		"permissions": func(f string) error { return os.Chmod(f, 0o777) },
		"name":        func(f string) error { return os.Rename(f, f+"x") },
	}
	for what, change := range changes {
		before := mustChecksum(t, filepath.Join(base, "a"))
		matches, err := filepath.Glob(filepath.Join(base, "a", "folder-01", "*", "file-00001*"))
		if err != nil || len(matches) == 0 {
			t.Fatal(matches, err)
		}
		if err := change(matches[0]); err != nil {
			t.Fatal(err)
		}
		if mustChecksum(t, filepath.Join(base, "a")) == before {
			t.Errorf("a change of %s was not noticed", what)
		}
	}
}

func TestADamagedRecordIsNoticed(t *testing.T) {
	statusFile = filepath.Join(t.TempDir(), "status")
	f, err := os.Create(filepath.Join(t.TempDir(), "records"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*pause)
	defer cancel()
	written, err := writeRecords(ctx, f)
	if err != nil || written < 2 {
		t.Fatal(written, err)
	}
	if verified, err := verifyRecords(f, 0); err != nil || verified != written {
		t.Fatalf("%d written, %d verified, %v", written, verified, err)
	}
	if done() != written {
		t.Errorf("status says %d, written were %d", done(), written)
	}
	if _, err := f.WriteAt([]byte{0}, recordSize+100); err != nil {
		t.Fatal(err)
	}
	if verified, err := verifyRecords(f, 0); err == nil || verified != 1 {
		t.Errorf("%d records verified, %v; record 1 is damaged", verified, err)
	}
}

func TestWaitGivesUp(t *testing.T) {
	statusFile = filepath.Join(t.TempDir(), "status")
	start := time.Now()
	if err := waitCommand([]string{"-more", "1", "-timeout", "50ms"}); err == nil {
		t.Error("nothing was done, but wait was content")
	}
	if err := report(3); err != nil {
		t.Fatal(err)
	}
	if err := waitCommand([]string{"-total", "3"}); err != nil {
		t.Error("enough was done, but wait was not content:", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("gave up after %v", took)
	}
}

func mustChecksum(t *testing.T, dir string) string {
	t.Helper()
	sum, err := checksum(dir)
	if err != nil {
		t.Fatal(err)
	}
	return sum.String()
}
