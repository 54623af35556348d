package pebble

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dittofs/dittofs/internal/meta"
)

// child is the environment variable that makes the test binary a writer.
const child = "DITTOFS_TEST_METADATA_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(child); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// writeForEver prints the number of each batch that is durable.
func writeForEver(dir string) {
	s, err := Open(dir, small)
	for i := 0; err == nil; i++ {
		fmt.Println(i)
		b := &meta.Batch{}
		b.Put(fmt.Appendf(nil, "k%08d", i+1), make([]byte, 300))
		err = s.Apply(context.Background(), b)
	}
	fmt.Println(err)
	os.Exit(1)
}

func startWriter(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func TestNothingAcknowledgedIsLostWhenTheProcessIsKilled(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		cmd, acks := startWriter(t, dir)
		last := 0
		for acks.Scan() {
			if _, err := fmt.Sscan(acks.Text(), &last); err != nil {
				t.Fatalf("writer: %s", acks.Text())
			}
			if last == 0 {
				if _, err := Open(dir, quiet); !errors.Is(err, meta.ErrLocked) {
					t.Errorf("open while another process has it: %v", err)
				}
			}
			if last == 500 {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for acks.Scan() { // what it wrote before it died
			if _, err := fmt.Sscan(acks.Text(), &last); err != nil {
				break
			}
		}
		_ = cmd.Wait()
		s, err := Open(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		pairs, err := s.Scan(t.Context(), meta.Range{}, 1<<20)
		if err != nil || len(pairs) < last {
			t.Errorf("round %d: %d batches kept, %d acknowledged, %v", round, len(pairs), last, err)
		}
		if want := uint64(2*round + 2); s.Epoch() != want {
			t.Errorf("epoch %d, want %d", s.Epoch(), want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestADirectoryInUseIsRefusedByAnyPath(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link, dir + "/."} {
		if _, err := Open(path, quiet); !errors.Is(err, meta.ErrLocked) {
			t.Errorf("open %s: %v", path, err)
		}
	}
	if err := s.Apply(t.Context(), batch(1)); err != nil {
		t.Errorf("apply: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(link, quiet); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAReplacedDirectoryCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "meta")
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), batch(1)); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("apply to a directory that was moved away: %v", err)
	}
	if err := os.Rename(dir+".old", dir); err != nil {
		t.Fatal(err)
	}
	// Somebody may have written there meanwhile.
	if err := errors.Join(s.Apply(t.Context(), batch(1)), s.Close()); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("after the directory came back: %v", err)
	}
}

func TestADirectoryWithOtherFilesIsRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, quiet); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("open: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d entries afterwards, %v", len(entries), err)
	}
}

func TestTheDatabaseOfAnotherProgramIsRefused(t *testing.T) {
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{Logger: logger{newWatch(quiet.Logger)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("their"), []byte("data"), pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, quiet); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("open: %v", err)
	}
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	next := binary.BigEndian.AppendUint32(nil, format+1)
	if err := errors.Join(s.db.Set(formatKey, next, pebble.Sync), s.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(dir, quiet); !errors.Is(err, meta.ErrFormat) {
			t.Errorf("open: %v", err)
		}
	}
}

func TestAnUnknownFormatOfPebbleIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	markers, err := filepath.Glob(filepath.Join(dir, "marker.format-version.*"))
	if err != nil || len(markers) != 1 {
		t.Fatalf("markers %q, %v", markers, err)
	}
	if err := os.Rename(markers[0], filepath.Join(dir, "marker.format-version.000099.999")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, quiet); !errors.Is(err, meta.ErrFormat) {
		t.Errorf("open: %v", err)
	}
}
