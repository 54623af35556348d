package fsck_test

import (
	"fmt"
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

// A file that counts a link and has none is damaged, whatever says that it is to be
// reclaimed: its data stays, and it gets a name.
func TestAFileThatCountsLinksIsNotHeld(t *testing.T) {
	m := newImage(t).copy(t)
	m.start()
	f := m.create(m.top, "/held")
	m.write(f, 0, 5000)
	_, err := m.fs.Hold(t.Context(), f)
	m.must(err)
	_, err = m.fs.Remove(root, m.top, "held")
	m.must(err)
	c := m.copy(t)
	m.stop()
	c.poke("/held", atLinks, []byte{0, 0, 0, 1})
	r := c.check()
	if len(r.faults) != 2 || r.faults[0].Kind != "orphan" || r.faults[1].Kind != "unreachable" || r.Held != 0 {
		t.Fatal(r)
	}
	c.repair()
	if r := c.check(); !r.Clean {
		t.Fatalf("after the repair: %v", r)
	}
	c.start()
	defer c.stop()
	lost, _, err := c.fs.Lookup(root, c.top, "lost+found")
	c.must(err)
	if a, err := c.fs.GetAttr(root, f); err != nil || a.Nlink != 1 || a.Size != 5000 {
		t.Errorf("after the repair it is %+v, %v", a, err)
	}
	if _, _, err := c.fs.Lookup(root, lost.ID, fmt.Sprint("#", f.Inode)); err != nil {
		t.Errorf("name in lost+found: %v", err)
	}
}
