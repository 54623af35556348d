package fsck_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
)

func TestACleanFilesystemGivesNoComplaint(t *testing.T) {
	m := newImage(t)
	for what, r := range map[string]*report{"check": m.check(), "scrub": m.scrub(), "repair": m.repair()} {
		if !r.Clean || len(r.faults)+len(r.notes)+len(r.repaired) > 0 || r.Extents < 25 || r.Segments < 2 {
			t.Errorf("%s: %v", what, r)
		}
	}
	if r := m.scrub(); r.Bytes < 450_000 {
		t.Errorf("read %d bytes", r.Bytes)
	}
}

// damage is one kind of damage and how it is found.
type damage struct {
	plant func(m *image)
	kind  string
	path  string // "" if it is of no path
	word  string // in the text
	// lost is how many bytes cannot be read, -1 for some.
	lost int64
	// scrub says that only reading everything finds it.
	scrub bool
	// mended says that a repair mends it.
	mended bool
}

var damages = map[string]damage{
	"a flipped byte of a record": {
		plant: func(m *image) { f, _, pos := m.place(m.extents("/a/b/two")[0]); m.flip(f, pos+10) },
		kind:  "page-damaged", path: "main:/a/b/two", word: "fail their checksum", lost: -1, scrub: true,
	},
	"a flipped byte of a record's header": {
		plant: func(m *image) { f, _, pos := m.place(m.extents("/a/b/two")[0]); m.flip(f, pos-20) },
		kind:  "page-damaged", path: "main:/a/b/two", word: "fail their checksum", lost: -1,
	},
	"a flipped byte in the journal": {
		plant: func(m *image) { f, _, pos := m.place(m.extents("/late")[0]); m.flip(f, pos+10) },
		kind:  "record-mismatch", path: "main:/late", word: "30000 bytes from offset 0 on", lost: 30_000,
	},
	"a damaged footer": {
		plant: func(m *image) { f, _, _ := m.place(m.extents("/a/b/one")[0]); m.flip(f, -60) },
		kind:  "segment-footer", path: "main:/a/b/one", word: "cannot be read", lost: -1,
	},
	"a missing object": {
		plant: func(m *image) { f, _, _ := m.place(m.extents("/a/b/one")[0]); m.must(os.Remove(f)) },
		kind:  "segment-missing", path: "main:/a/b/one", word: "neither in the journal nor in the content store", lost: -1,
	},
	"a short object": {
		plant: func(m *image) { f, _, _ := m.place(m.extents("/a/b/one")[0]); m.must(os.Truncate(f, 1000)) },
		kind:  "segment-footer", path: "main:/a/b/one", word: "1000 bytes in the content store", lost: -1,
	},
	"a missing segment of the journal": {
		plant: func(m *image) { f, _, _ := m.place(m.extents("/late")[0]); m.must(os.Remove(f)) },
		kind:  "segment-missing", path: "main:/late", word: "the journal has no file", lost: 30_000,
	},
	"an extent in an unknown segment": {
		plant: func(m *image) { m.pointElsewhere("/a/b/two", 9, be(7<<32|99)) },
		kind:  "segment-unknown", path: "main:/a/b/two", word: "segment 7/99 is unknown", lost: 5000,
	},
	"an extent that points at another file's record": {
		plant: func(m *image) { m.pointElsewhere("/a/b/two", 17, []byte{0, 0, 0, 200}) },
		kind:  "record-mismatch", path: "main:/a/b/two", word: "belongs to inode", lost: 5000,
	},
	"an extent beyond its segment": {
		plant: func(m *image) { m.pointElsewhere("/a/b/two", 17, []byte{0x70, 0, 0, 0}) },
		kind:  "extent-bounds", path: "main:/a/b/two", word: "do not lie in segment", lost: 5000,
	},
	"a damaged extent": {
		plant: func(m *image) { m.put(m.extents("/a/b/two")[0], []byte("nonsense")) },
		kind:  "extent-damaged", path: "main:/a/b/two", word: "extent value",
	},
	"a gap": {
		plant: func(m *image) { m.del(m.extents("/a/b/one")[3]) },
		kind:  "extent-gap", path: "main:/a/b/one", word: "the one before ends at 60000",
	},
	"overlapping extents": {
		plant: func(m *image) { m.pointElsewhere("/a/b/one", 1, be(20_001)) },
		kind:  "extent-overlap", path: "main:/a/b/one", word: "extent at 20000, the one before ends at 20001", lost: 20_001,
	},
	"extents of nobody": {
		plant: func(m *image) { m.put(append(key('x', be(9999)), be(0)...), m.get(m.extents("/a/b/two")[0])) },
		kind:  "extent-of-nobody", word: "is missing, but has an extent", lost: 5000,
	},
	"a segment's record": {
		plant: func(m *image) { _, g, _ := m.place(m.extents("/a/b/two")[0]); m.put(key('g', be(g)), []byte("x")) },
		kind:  "segment-record", word: "segment record 78",
	},
	"a counter of live bytes": {
		plant: func(m *image) { _, g, _ := m.place(m.extents("/a/b/two")[0]); m.put(key('G', be(g)), be(12)) },
		kind:  "live-bytes", word: "its counter says 12", mended: true,
	},
	"usage in bytes": {
		plant: func(m *image) { m.put(key('u', []byte{0, 0, 0, 1, 'b'}), be(77)) },
		kind:  "usage", word: `"main" (1) counts 77 for usage 'b'`, mended: true,
	},
	"usage in inodes": {
		plant: func(m *image) { m.put(key('u', []byte{0, 0, 0, 1, 'i'}), be(1)) },
		kind:  "usage", word: `counts 1 for usage 'i', a recount gives 11`, mended: true,
	},
	"a file's used bytes": {
		plant: func(m *image) {
			m.poke("/a/b/two", atUsed, be(4999))
			m.put(key('u', []byte{0, 0, 0, 1, 'b'}), be(binary.BigEndian.Uint64(m.get(key('u', []byte{0, 0, 0, 1, 'b'})))-1))
		},
		kind: "used-bytes", path: "main:/a/b/two", word: "uses 4999 bytes, its extents hold 5000", mended: true,
	},
	"a file's link count": {
		plant: func(m *image) { m.poke("/twice", atLinks, []byte{0, 0, 0, 1}) },
		kind:  "link-count", path: "main:/twice", word: "has link count 1 and 2 names", mended: true,
	},
	"a directory's link count": {
		plant: func(m *image) { m.poke("/a", atLinks, []byte{0, 0, 0, 9}) },
		kind:  "link-count", path: "main:/a", word: "has link count 9 and 2 subdirectories", mended: true,
	},
	"a directory's number of entries": {
		plant: func(m *image) { m.poke("/a", atEntries, be(2)) },
		kind:  "entry-count", path: "main:/a", word: "counts 2 entries, has 3 names and lists 3", mended: true,
	},
	"a dangling name": {
		plant: func(m *image) {
			k := m.name("/a", "again")
			v := m.get(k)
			copy(v, be(4242))
			m.put(k, v)
		},
		kind: "name-dangling", path: "main:/a/again", word: "leads to inode 4242, which is missing", mended: true,
	},
	"a lost inode": {
		plant: func(m *image) { m.del(key('i', be(m.inode["/a/b/two"]))) },
		kind:  "name-dangling", path: "main:/a/b/two", word: "is missing", mended: false, // its bytes stay
	},
	"a damaged inode": {
		plant: func(m *image) { m.put(key('i', be(m.inode["/a/b/two"])), []byte("x")) },
		kind:  "inode-damaged", path: "main:/a/b/two", word: "record of 1 bytes",
	},
	"a name that is not listed": {
		plant: func(m *image) { m.del(key('l', be(m.inode["/a/b"]), be(3))) },
		kind:  "listing", path: "main:/a/b/one", word: "is not what is listed with cookie 3", mended: true,
	},
	"a listed entry without a name": {
		plant: func(m *image) { m.put(key('l', be(m.inode["/a/b"]), be(77)), append(be(m.inode["/late"]), 1, 'x')) },
		kind:  "listing", path: "main:/a/b", word: "cookie 77 that no name has", mended: true,
	},
	"an unreachable file": {
		plant: func(m *image) { m.unlist("/a/b", "two") },
		kind:  "unreachable", word: "has link count 1 and no name", mended: true,
	},
	"an unreachable directory": {
		plant: func(m *image) { m.unlist("/a", "c") },
		kind:  "unreachable", word: "is a directory without a name", mended: true,
	},
	"a lost directory": {
		plant: func(m *image) { m.del(key('i', be(m.inode["/a/c"]))) },
		kind:  "directory-missing", word: "is a directory with 1 name, and is missing", mended: true,
	},
	"a ring of directories": {
		plant: func(m *image) { m.ring() },
		kind:  "directory-cycle", word: "is its own ancestor", mended: true,
	},
	"a wrong parent": {
		plant: func(m *image) { m.poke("/a/c", atParent, be(m.inode["/a/b"])) },
		kind:  "directory-parent", word: "its parent is", mended: true,
	},
	"two names of a directory": {
		plant: func(m *image) {
			e := append(append(be(m.inode["/a/c"]), be(50)...), 2)
			m.put(m.name("/a/b", "c"), e)
			m.put(key('l', be(m.inode["/a/b"]), be(50)), append(append(be(m.inode["/a/c"]), 2), 'c'))
		},
		kind: "directory-names", word: "is another name of directory", mended: true,
	},
	"a name of the wrong type": {
		plant: func(m *image) {
			for _, k := range [][]byte{m.name("/a/b", "two")} {
				v := m.get(k)
				v[16] = 2
				m.put(k, v)
			}
		},
		kind: "name-type", path: "main:/a/b/two", word: "has type 2", mended: true,
	},
	"data to be reclaimed of a file that exists": {
		plant: func(m *image) { m.put(key('o', be(m.inode["/a/b/two"])), []byte{1}) },
		kind:  "orphan", path: "main:/a/b/two", word: "exists, but its data is to be reclaimed", mended: true,
	},
	"the next inode number": {
		plant: func(m *image) { m.put([]byte("cnext-inode"), be(2)) },
		kind:  "next-inode", word: "the next inode number is 2", mended: true,
	},
}

func (m *image) pointElsewhere(path string, at int, v []byte) {
	k := m.extents(path)[0]
	value := m.get(k)
	copy(value[at:], v)
	m.put(k, value)
}

// unlist removes a name from both forms of its directory.
func (m *image) unlist(dir, name string) {
	k := m.name(dir, name)
	cookie := m.get(k)[8:16]
	m.del(k)
	m.del(key('l', be(m.inode[dir]), cookie))
}

// ring moves /a/b/../c so that /a/b is in /a/c and /a/c in /a/b.
func (m *image) ring() {
	for _, move := range []struct{ dir, to string }{{"b", "c"}, {"c", "b"}} {
		ino := m.inode["/a/"+move.dir]
		m.unlist("/a", move.dir)
		m.put(m.name("/a/"+move.to, move.dir), append(append(be(ino), be(60)...), 2))
		m.put(key('l', be(m.inode["/a/"+move.to]), be(60)), append(append(be(ino), 2), move.dir...))
		m.poke("/a/"+move.dir, atParent, be(m.inode["/a/"+move.to]))
	}
}

func TestEachKindOfDamageIsFoundAndNamed(t *testing.T) {
	pristine := newImage(t)
	for _, what := range slices.Sorted(maps.Keys(damages)) {
		d := damages[what]
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			m := pristine.copy(t)
			d.plant(m)
			r := m.check()
			if d.scrub {
				if !r.Clean {
					t.Errorf("found without reading everything: %v", r)
				}
				r = m.scrub()
			}
			if r.Clean || !finds(r.faults, d) {
				t.Errorf("want %s %s with %q, got %v", d.kind, d.path, d.word, r)
			}
			if d.lost == 0 && r.LostBytes > 0 || d.lost > 0 && r.LostBytes != d.lost || d.lost < 0 && r.LostBytes == 0 {
				t.Errorf("%d bytes are lost, want %d: %v", r.LostBytes, d.lost, r)
			}
		})
	}
}

// TestAFaultThatCostsNoFileIsMarked damages a segment that a backup keeps, whose file is removed.
func TestAFaultThatCostsNoFileIsMarked(t *testing.T) {
	for what, d := range map[string]struct {
		plant func(m *image, file string, pos int64)
		kind  string
	}{
		"a flipped byte":   {func(m *image, file string, pos int64) { m.flip(file, pos+10) }, "page-damaged"},
		"a damaged footer": {func(m *image, file string, _ int64) { m.flip(file, -60) }, "segment-footer"},
		"a missing object": {func(m *image, file string, _ int64) { m.must(os.Remove(file)) }, "segment-missing"},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			m := newImage(t)
			file, segment, pos := m.place(m.extents("/a/b/one")[0])
			d.plant(m, file, pos)
			if r := m.scrub(); r.Clean || slices.ContainsFunc(r.faults, func(f fsck.Finding) bool { return f.Unused }) {
				t.Errorf("of a file: %v", r)
			}
			m.kept = true
			m.start()
			m.remove("/a/b/one")
			m.settled()
			m.stop()
			r := m.scrub()
			if r.Clean || r.Faults != 1 || r.LostFiles != 0 || r.LostBytes != 0 {
				t.Fatalf("of none: %v", r)
			}
			f := r.faults[0]
			if f.Kind != d.kind || !f.Unused || f.Segment != fmt.Sprintf("%d/%d", segment>>32, uint32(segment)) || !strings.HasSuffix(f.What, "; no file has bytes in this segment, which is about to be deleted or is kept for a backup") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func finds(list []fsck.Finding, d damage) bool {
	return slices.ContainsFunc(list, func(f fsck.Finding) bool {
		return f.Kind == d.kind && strings.Contains(f.What, d.word) && (d.path == "" || f.Share+":"+f.Path == d.path)
	})
}

func TestARepairMendsWhatLosesNothingAndTheNextFindsNothing(t *testing.T) {
	pristine := newImage(t)
	for _, what := range slices.Sorted(maps.Keys(damages)) {
		d := damages[what]
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			m := pristine.copy(t)
			d.plant(m)
			first := m.repair()
			if d.mended != (first.Clean && first.Repaired > 0) && !d.scrub {
				t.Errorf("mended: want %v, got %v", d.mended, first)
			}
			before := m.contents()
			second := m.repair()
			if second.Repaired > 0 || second.Faults != first.Faults {
				t.Errorf("first: %v\nsecond: %v", first, second)
			}
			if !maps.Equal(before, m.contents()) {
				t.Error("the second repair changed something")
			}
			if d.mended {
				m.start() // and it can be served
				defer m.stop()
				if _, _, err := m.fs.Lookup(root, m.top, "late"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func (m *image) contents() map[string]string {
	pairs, err := m.meta.Scan(m.t.Context(), meta.Range{}, 1<<30)
	m.must(err)
	all := map[string]string{}
	for _, p := range pairs {
		all[string(p.Key)] = string(p.Value)
	}
	return all
}

func TestWhatNoNameLeadsToIsInLostAndFound(t *testing.T) {
	m := newImage(t)
	m.unlist("/a", "c") // with deep in it
	m.unlist("/a/b", "two")
	if r := m.repair(); !r.Clean || r.Repaired < 2 {
		t.Fatalf("%v", r)
	}
	m.start()
	defer m.stop()
	lost, _, err := m.fs.Lookup(root, m.top, "lost+found")
	m.must(err)
	if lost.Mode != 0o700 || lost.UID != 0 {
		t.Errorf("%+v", lost)
	}
	for name, size := range map[string]uint64{"/a/b/two": 5000, "/a/c": 0} {
		a, _, err := m.fs.Lookup(root, lost.ID, fmt.Sprintf("#%d", m.inode[name]))
		if err != nil || a.Type == 1 && a.Size != size {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		if name == "/a/c" {
			if deep, _, err := m.fs.Lookup(root, a.ID, "deep"); err != nil || deep.Size != 50_000 {
				t.Errorf("deep: %+v, %v", deep, err)
			}
		}
	}
}

func TestObjectsOfNobodyAreNotedAndAreNoFault(t *testing.T) {
	m := newImage(t)
	objects := m.objects()
	for _, name := range []string{"segments/0000000000000001/0000ffff", "segments/other"} {
		m.must(objects.Put(t.Context(), name, bytes.NewReader([]byte("x")), 1))
	}
	m.must(os.WriteFile(filepath.Join(m.dir, "cache/journal/0000000000000001-0000fffe.seg"), nil, 0o600))
	r := m.check()
	if !r.Clean || r.Notes != 3 || len(r.notes) != 3 {
		t.Errorf("%v", r)
	}
}

func TestTheReportIsBoundedAndTheCountIsNot(t *testing.T) {
	m := newImage(t)
	for ino := range uint64(50) {
		m.put(append(key('x', be(9000+ino)), be(0)...), m.get(m.extents("/a/b/two")[0]))
	}
	o := m.options()
	o.Limit = 5
	r := &report{}
	if _, err := fsck.Check(t.Context(), o, r.take); err != nil {
		t.Fatal(err)
	}
	if r.Kinds["extent-of-nobody"] != 50 || len(r.faults) > 5*len(r.Kinds) {
		t.Errorf("%v", r)
	}
}

func TestAShareAboveItsQuotaIsNamed(t *testing.T) {
	m := newImage(t)
	m.quota = map[string]tree.ShareUsage{"main": {Bytes: 1}}
	r := m.check()
	if !r.Clean || len(r.notes) != 1 || !strings.HasPrefix(r.notes[0].String(), "main:/: uses ") ||
		r.notes[0].Kind != "quota-exceeded" {
		t.Errorf("%v", r)
	}
}
