package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
)

const corruptKeys = 300

func corruptValue(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%05d,", i), 30) }

// writeStore fills a store, with its data in a table or, unflushed, in the
// log, closes it, and returns the newest file of that kind.
func writeStore(t *testing.T, dir, kind string, flush bool) string {
	t.Helper()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range corruptKeys {
		b := &meta.Batch{}
		b.Put(fmt.Appendf(nil, "k%05d", i), corruptValue(i))
		if err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if flush {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, kind))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %q, %v", files, err)
	}
	return files[len(files)-1]
}

// readAll reads everything by scan and by key. It fails the test if something
// is wrong or missing without an error.
func readAll(t *testing.T, dir string) error {
	t.Helper()
	s, err := Open(dir, quiet)
	if err != nil {
		return err
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	pairs, err := s.Scan(t.Context(), meta.Range{}, corruptKeys+1)
	if err != nil {
		return err
	}
	if len(pairs) != corruptKeys {
		t.Errorf("scan gave %d pairs and no error", len(pairs))
	}
	for i, p := range pairs {
		v, err := s.Get(t.Context(), p.Key)
		if err != nil {
			return err
		}
		if !bytes.Equal(p.Value, corruptValue(i)) || !bytes.Equal(v[0], p.Value) {
			t.Errorf("%s has a wrong value and no error", p.Key)
		}
	}
	return nil
}

func flipBit(t *testing.T, file string, percent int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(bytes.TrimRight(data, "\x00"))*percent/100] ^= 0x10 // a log has zeros ahead
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsReportedAndNeverServed(t *testing.T) {
	for _, c := range []struct {
		kind  string
		flush bool
		until int // percent of the file; a table ends with what only statistics need
	}{{"*.sst", true, 80}, {"*.log", false, 100}, {"STATE", false, 100}} {
		for percent := 0; percent < c.until; percent += 11 {
			t.Run(fmt.Sprintf("%s/%d", c.kind, percent), func(t *testing.T) {
				dir := t.TempDir()
				flipBit(t, writeStore(t, dir, c.kind, c.flush), percent)
				for range 2 {
					if err := readAll(t, dir); !errors.Is(err, meta.ErrCorrupt) {
						t.Errorf("reading: %v", err)
					}
				}
			})
		}
	}
}

// Parts of the manifest can be made good from the log.
func TestADamagedManifestIsReportedOrLosesNothing(t *testing.T) {
	reported := 0
	for percent := 0; percent < 100; percent += 9 {
		dir := t.TempDir()
		flipBit(t, writeStore(t, dir, "MANIFEST-*", true), percent)
		if err := readAll(t, dir); err != nil {
			reported++
			if !errors.Is(err, meta.ErrCorrupt) {
				t.Errorf("reading: %v", err)
			}
		}
	}
	if t.Logf("%d of 12 reported", reported); reported < 3 {
		t.Errorf("only %d of 12 flipped bits of the manifest were noticed", reported)
	}
}

func TestADirectoryThatLostItsDatabaseIsNotTakenForANewOne(t *testing.T) {
	dir := t.TempDir()
	writeStore(t, dir, "*.log", false)
	for _, kind := range []string{"marker.*", "*.log", "*.sst", "MANIFEST-*"} {
		files, err := filepath.Glob(filepath.Join(dir, kind))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Open(dir, quiet); !errors.Is(err, meta.ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(state{epoch: 7, clean: true}.String())
	f.Add("dittofs metadata store\nformat 2\nchecksum 00000000\n")
	f.Fuzz(func(t *testing.T, text string) {
		if st, err := parseState(text); err == nil && st.String() != text {
			t.Errorf("%q was read as %v", text, st)
		}
	})
}
