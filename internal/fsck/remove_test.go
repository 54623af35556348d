package fsck_test

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
)

// noWayOut are damages of the metadata itself: its backup is the way out.
var noWayOut = []string{"a damaged inode", "a lost inode"}

// TestRemovingTheFilesThatLoseBytesLeavesACleanFilesystem is the way out that
// the report names: what is lost stays an error until the file is removed.
func TestRemovingTheFilesThatLoseBytesLeavesACleanFilesystem(t *testing.T) {
	pristine := newImage(t)
	for _, what := range slices.Sorted(maps.Keys(damages)) {
		d := damages[what]
		if d.path == "" || d.mended || slices.Contains(noWayOut, what) {
			continue
		}
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			m := pristine.copy(t)
			d.plant(m)
			found := m.check()
			if d.scrub {
				found = m.scrub()
			}
			m.start()
			for _, f := range found.faults {
				if f.Path != "" {
					m.remove(f.Path)
				}
			}
			m.settled()
			m.stop()
			// The index was wrong too: counts that followed it are set right.
			index := slices.Contains([]string{"segment-unknown", "extent-damaged", "extent-gap", "extent-overlap"}, d.kind)
			if r := m.check(); r.Clean == index {
				t.Errorf("%v", r)
			}
			if r := m.repair(); !r.Clean || (r.Repaired > 0) != index {
				t.Errorf("%v", r)
			}
		})
	}
}

// remove takes away a file, unless that was done.
func (m *image) remove(file string) {
	m.t.Helper()
	dir := m.top
	for _, name := range strings.FieldsFunc(path.Dir(file), func(r rune) bool { return r == '/' }) {
		a, _, err := m.fs.Lookup(root, dir, name)
		m.must(err)
		dir = a.ID
	}
	if _, _, err := m.fs.Lookup(root, dir, path.Base(file)); err != nil {
		return
	}
	_, err := m.fs.Remove(root, dir, path.Base(file))
	m.must(err)
}

// settled waits until the data of removed files is reclaimed.
func (m *image) settled() {
	m.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		pairs, err := m.meta.Scan(m.t.Context(), meta.PrefixRange([]byte{'o'}), 1)
		m.must(err)
		if len(pairs) == 0 {
			return
		}
		if time.Now().After(end) {
			m.t.Fatal("data of removed files is still there")
		}
	}
}
