package restore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dittofs/dittofs/internal/report"
)

// TestObjectsOfAfterTheRecoveryPointAreListedAndDeletedWhenAsked restores an
// older backup, which leaves objects in the content store that its metadata does
// not know: some that a newer backup refers to, and some that nobody does.
func TestObjectsOfAfterTheRecoveryPointAreListedAndDeletedWhenAsked(t *testing.T) {
	for name, stores := range map[string]func(*testing.T) *world{"directories": local, "s3 and postgres": far} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orphans(stores(t))
		})
	}
}

func orphans(w *world) {
	w.server.StartFor(w)
	c := w.client()
	root, err := c.Mount("/export")
	w.fatal(err)
	inFirst := w.put(c, root, "first", content(1, 10_000))
	first, _ := w.backup()
	inSecond := w.put(c, root, "second", content(2, 20_000))
	second, _ := w.backup()
	w.put(c, root, "late", content(3, 300_000))
	if code := w.server.Signal(syscall.SIGTERM); code != 0 { // which stores all
		w.Fatalf("the server's exit code is %d\n%s", code, w.server.Log())
	}
	w.lose()
	w.fatal(os.RemoveAll(filepath.Join(w.server.Dir, "cache")))
	w.must("restore", "--from", first)
	w.server.StartFor(w)
	c = w.client()
	more := w.put(c, root, "more", content(4, 40_000)) // is not stored yet

	before := w.segments()
	listed := w.orphans()
	if len(listed) < 2 || !listed[len(listed)-1].sums(len(listed)-1, 300_000, false) {
		w.Fatalf("listed were %+v", listed)
	}
	if text := w.must("gc", "orphans"); !strings.Contains(text, "--delete gives that back; 1 more is kept for backups\n") {
		w.Errorf("the list is\n%s", text)
	}
	if after := w.segments(); after != before {
		w.Errorf("the list has deleted something: of %d objects %d are left", before, after)
	}
	gone := w.orphans("--delete")
	if len(gone) != len(listed) || !gone[len(gone)-1].sums(len(listed)-1, 300_000, true) {
		w.Errorf("deleted were %+v, listed %+v", gone, listed)
	}
	if after := w.segments(); after != before-(len(listed)-1) {
		w.Errorf("of %d objects, %d of them orphans, %d are left", before, len(listed)-1, after)
	}
	if text := w.must("gc", "orphans", "--delete"); text != "deleted 0 orphans, 0 B; 1 more is kept for backups\n" {
		w.Errorf("then: %s", text)
	}
	metrics, err := w.server.Metrics()
	w.fatal(err)
	if n := metrics.Of("dittofs_orphans_deleted_total"); n != float64(len(listed)-1) {
		w.Errorf("the metric counts %v", n)
	}
	w.must("fsck")
	w.expect(c, inFirst)
	w.expect(c, more)

	// The newer backup is still whole.
	w.server.Signal(syscall.SIGKILL)
	w.lose()
	w.fatal(os.RemoveAll(filepath.Join(w.server.Dir, "cache")))
	w.must("restore", "--from", second)
	w.server.StartFor(w)
	c = w.client()
	w.expect(c, inFirst)
	w.expect(c, inSecond)
}

type orphansLine report.OrphansLine

// sums says whether it is the summary of n orphans of so many bytes at least,
// beside one that is kept.
func (l orphansLine) sums(n int, bytes int64, deleted bool) bool {
	s := l.Summary
	return s != nil && s.Orphans == n && s.Bytes >= bytes && s.Kept == 1 && s.Deleted == deleted
}

func (w *world) orphans(flags ...string) (lines []orphansLine) {
	w.Helper()
	out := w.must(append([]string{"gc", "orphans", "--output", "json"}, flags...)...)
	for _, text := range strings.Split(strings.TrimSpace(out), "\n") {
		var l orphansLine
		w.fatal(json.Unmarshal([]byte(text), &l))
		lines = append(lines, l)
	}
	return lines
}

// segments counts the objects in the content store that are segments.
func (w *world) segments() (n int) {
	w.Helper()
	w.fatal(filepath.WalkDir(filepath.Join(w.bucket, "segments"), func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	}))
	return n
}
