package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/pebble"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// filled serves a configuration with stores in dir and writes two files.
func filled(t *testing.T, dir string) (file string, s *serving) {
	t.Helper()
	file = storeConfig(t, dir)
	s = startServe(t, file, "DITTOFS_SHARES_0_ROOT_MODE=0777")
	c, top := mountedBy(t, s)
	sub, err := c.Mkdir(top, "sub", nfsclient.SetAttr{})
	if err != nil {
		t.Fatal(err)
	}
	for dir, name := range map[*nfsclient.Handle]string{&top: "one", &sub.Handle: "two"} {
		n, err := c.Create(*dir, name, 0, nfsclient.SetAttr{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(n.Handle, 0, bytes.Repeat([]byte(name), 10_000), 2); err != nil {
			t.Fatal(err)
		}
	}
	return file, s
}

func stopServe(t *testing.T, s *serving) {
	t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.exitCode(); code != 0 {
		t.Fatalf("serve: exit code %d", code)
	}
}

// checked runs fsck or scrub and expects an exit code, and words on one of the
// outputs.
func checked(t *testing.T, code int, words string, args ...string) result {
	t.Helper()
	got := dittofs(t, t.TempDir(), nil, args...)
	if got.code != code || !strings.Contains(got.stdout+got.stderr, words) {
		t.Errorf("dittofs %s: want exit code %d and %q, got %+v", strings.Join(args, " "), code, words, got)
	}
	return got
}

func TestFsckChecksARunningServerAndAStoppedOne(t *testing.T) {
	file, s := filled(t, t.TempDir())
	for _, command := range []string{"fsck", "scrub"} {
		checked(t, 0, "no faults\n", command, "--config", file)
	}
	checked(t, 3, "a server is running, and nothing is repaired under it: stop it first",
		"fsck", "--repair", "--config", file)
	// A server that does not answer is not one that has stopped.
	got := dittofs(t, t.TempDir(), []string{"DITTOFS_ADMIN_SOCKET=/nowhere/socket"}, "fsck", "--config", file)
	if got.code != 3 ||
		!strings.Contains(got.stderr, "a server is running with these stores, and does not answer at /nowhere/socket") {
		t.Errorf("%+v", got)
	}
	stopServe(t, s)
	before := files(t, filepath.Dir(file))
	checked(t, 0, "checked 4 inodes, 3 names, 2 extents", "fsck", "--config", file)
	checked(t, 0, "read 58.7 KiB in 1 segment,", "scrub", "--rate", "10MiB", "--config", file)
	if after := files(t, filepath.Dir(file)); after != before {
		t.Errorf("files were changed:\n%s\n%s", before, after)
	}
}

// files are the files below dir, but for locks, with their times.
func files(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && !e.IsDir() && e.Name() != "LOCK" {
			out.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// summaryOf is the last line of a report in JSON.
func summaryOf(t *testing.T, out string) (s fsck.Summary) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, text := range lines {
		var l fsck.Line
		if err := json.Unmarshal([]byte(text), &l); err != nil || i == len(lines)-1 && l.Summary == nil {
			t.Fatalf("line %q: %v", text, err)
		}
		if l.Summary != nil {
			s = *l.Summary
		}
	}
	return s
}

func TestFsckNamesDamageAndRepairsCounts(t *testing.T) {
	dir := t.TempDir()
	file, s := filled(t, dir)
	stopServe(t, s)
	objects, err := filepath.Glob(filepath.Join(dir, "content/segments/*/*.DATA"))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%v, %v", objects, err)
	}

	plantUsage(t, dir)
	got := checked(t, 1, `counts 12345 for usage 'b'`, "fsck", "--config", file, "--output", "json")
	if sum := summaryOf(t, got.stdout); sum.Clean || sum.Faults != 1 || sum.Kinds["usage"] != 1 {
		t.Errorf("%+v", sum)
	}
	checked(t, 4, "1 fault repaired, none left", "fsck", "--repair", "--config", file)
	checked(t, 0, "no faults", "fsck", "--repair", "--config", file)

	flipByte(t, objects[0], 5000)
	checked(t, 0, "no faults", "fsck", "--config", file)
	checked(t, 1, "[page-damaged]", "scrub", "--config", file)
	if err := os.Remove(objects[0]); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		"a:/one: 30000 bytes from offset 0 on cannot be read", "a:/sub/two: 30000 bytes", "2 files lose 58.6 KiB",
	} {
		checked(t, 1, words, "fsck", "--config", file)
	}
	checked(t, 1, "3 faults\n", "fsck", "--repair", "--config", file)
	// The running server finds the same.
	s = startServe(t, file, "DITTOFS_SHARES_0_ROOT_MODE=0777")
	s.waitLog("msg=serving")
	checked(t, 1, "a:/sub/two: 30000 bytes", "fsck", "--config", file)
	s.signal(syscall.SIGKILL)
}

// TestRemovingWhatFsckNamesIsTheWayOut follows what the report and the guide say.
func TestRemovingWhatFsckNamesIsTheWayOut(t *testing.T) {
	dir := t.TempDir()
	file, s := filled(t, dir)
	stopServe(t, s)
	objects, err := filepath.Glob(filepath.Join(dir, "content/segments/*/*.DATA"))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%v, %v", objects, err)
	}
	if err := os.Remove(objects[0]); err != nil {
		t.Fatal(err)
	}
	s = startServe(t, file, "DITTOFS_SHARES_0_ROOT_MODE=0777")
	c, top := mountedBy(t, s)
	got := checked(t, 1, "2 files lose 58.6 KiB: reading those bytes is an error until the files are removed or written again", "fsck", "--config", file)
	for name, path := range map[string]string{"one": "/one", "two": "/sub/two"} {
		if !strings.Contains(got.stdout, "a:"+path+": 30000 bytes from offset 0 on cannot be read") {
			t.Errorf("no word of %s: %s", path, got.stdout)
		}
		parent := top
		if name == "two" {
			sub, err := c.Lookup(top, "sub")
			if err != nil {
				t.Fatal(err)
			}
			parent = sub.Handle
		}
		n, err := c.Lookup(parent, name)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Read(n.Handle, 0, 100); err == nil {
			t.Errorf("%s: lost bytes were read as %q", path, r.Data)
		}
		if name == "one" { // written again it is whole
			if _, err := c.Write(n.Handle, 0, bytes.Repeat([]byte("new"), 10_000), 2); err != nil {
				t.Error(err)
			}
		} else if _, err := c.Remove(parent, name); err != nil {
			t.Error(err)
		}
	}
	checked(t, 0, "no faults", "fsck", "--config", file)
	stopServe(t, s)
	checked(t, 0, "no faults", "fsck", "--config", file)
	checked(t, 0, "no faults", "fsck", "--repair", "--config", file)
}

// mountedBy is a client with the share /a.
func mountedBy(t *testing.T, s *serving) (*nfsclient.Client, nfsclient.Handle) {
	t.Helper()
	addr := regexp.MustCompile(`nfs=(\S+)`).FindStringSubmatch(s.waitLog("msg=serving"))[1]
	c, err := nfsclient.Dial(addr, nfsclient.Options{UID: 0})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	top, err := c.Mount("/a")
	if err != nil {
		t.Fatal(err)
	}
	return c, top
}

func plantUsage(t *testing.T, dir string) {
	t.Helper()
	store, err := pebble.Open(filepath.Join(dir, "metadata"), pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b := &meta.Batch{}
	b.Put([]byte{'u', 0, 0, 0, 1, 'b'}, binary.BigEndian.AppendUint64(nil, 12345))
	if err := store.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func flipByte(t *testing.T, file string, at int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[at] ^= 1
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFsckOfWhatIsNoFilesystemSaysSoAndLeavesItAlone(t *testing.T) {
	dir := t.TempDir()
	file := storeConfig(t, dir)
	checked(t, 2, "metadata.path", "fsck", "--config", file)
	if err := os.Mkdir(filepath.Join(dir, "metadata"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "metadata", "thesis.tex"), "precious")
	for _, args := range [][]string{{"fsck"}, {"scrub"}, {"fsck", "--repair"}} {
		checked(t, 2, "thesis.tex", append(args, "--config", file)...)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	checked(t, 2, "--limit is 0 or more", "fsck", "--limit", "-1", "--config", file)
	checked(t, 2, "if any flags in the group [repair socket] are set none of the others can be",
		"fsck", "--repair", "--socket", "x", "--config", file)
	checked(t, 3, "no server is running", "fsck", "--socket", filepath.Join(dir, "none"))
}

func TestFsckOfDamagedMetadataIsNoCleanBill(t *testing.T) {
	dir := t.TempDir()
	file, s := filled(t, dir)
	stopServe(t, s)
	for _, kind := range []string{"*.log", "*.sst", "STATE"} {
		logs, err := filepath.Glob(filepath.Join(dir, "metadata", kind))
		if err != nil {
			t.Fatal(err)
		}
		damaged := 0
		for _, log := range logs {
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) < 40 {
				continue
			}
			damaged++
			written := bytes.TrimRight(text, "\x00") // a log has zeros ahead
			write(t, log, string(written[:len(written)/3]))
			for _, args := range [][]string{{"fsck"}, {"scrub"}, {"fsck", "--repair"}} {
				if got := checked(t, 3, "damaged", append(args, "--config", file)...); strings.Contains(got.stdout, "no faults") {
					t.Errorf("%s: %+v", log, got)
				}
			}
			write(t, log, string(text))
		}
		if damaged == 0 && kind != "*.sst" { // a small store may have no table yet
			t.Errorf("there is no %s to damage", kind)
		}
	}
	checked(t, 0, "no faults", "fsck", "--config", file)
	// Content of another instance, or none.
	if err := os.Rename(filepath.Join(dir, "content"), filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	checked(t, 2, "holds no content store; is it mounted?", "fsck", "--config", file)
}

func TestTheBarOfACheckShowsHowFarItIs(t *testing.T) {
	for want, at := range map[string]fsck.Progress{
		"names: 65536": {Stage: "names", Done: 65536},
		"[############............]  50% segments: 5 of 10":     {Stage: "segments", Done: 5, Total: 10},
		"[########################] 100% bytes: 2 KiB of 2 KiB": {Stage: "bytes", Done: 2048, Total: 2048},
	} {
		if got := progressText(at); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
