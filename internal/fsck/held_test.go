package fsck_test

import (
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// A file without a name that a process held open when it was killed is no fault: the
// next start reclaims it.
func TestAFileThatWasHeldIsNoFault(t *testing.T) {
	m := newImage(t).copy(t)
	m.start()
	f := m.create(m.top, "/held")
	m.write(f, 0, 5000)
	if _, err := m.fs.Hold(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	_, err := m.fs.Remove(root, m.top, "held")
	m.must(err)
	c := m.copy(t)
	m.stop()
	for what, r := range map[string]*report{"check": c.check(), "scrub": c.scrub(), "repair": c.repair()} {
		if !r.Clean || len(r.faults)+len(r.repaired) > 0 {
			t.Errorf("%s: %v", what, r)
		}
		if what != "scrub" && r.Held != 1 {
			t.Errorf("%s: %d files were held", what, r.Held)
		}
	}
	b := &meta.Batch{}
	b.Delete(layout.OrphanKey(f.Inode))
	c.must(c.meta.Apply(t.Context(), b))
	if r := c.check(); r.Clean || r.faults[0].Kind != "unreachable" || r.Held != 0 {
		t.Errorf("without its key it is a fault: %v", r)
	}
}
