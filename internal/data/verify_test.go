package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/meta"
)

// examine looks at the world as it is on disk. The store may have it open.
func (w *world) examine(x segments.Examination) ([]segments.Fault, segments.Examined) {
	w.t.Helper()
	var faults []segments.Fault
	x.Index, x.Report = w.meta, func(f segments.Fault) { faults = append(faults, f) }
	if x.Source == nil {
		x.Source = &segments.Source{Dir: w.dir, Content: w.objects, Instance: testInstance}
	}
	seen, err := segments.Examine(w.t.Context(), x)
	if err != nil {
		w.t.Fatal(err)
	}
	return faults, seen
}

func kindsOf(faults []segments.Fault) (kinds []string) {
	for _, f := range faults {
		kinds = append(kinds, fmt.Sprintf("%s %d", f.Kind, f.Inode))
	}
	slices.Sort(kinds)
	return kinds
}

// manySegments has 20 files of 100,000 bytes in as many segments.
func manySegments(t *testing.T) *world {
	w := newWorld(t, testOptions())
	for ino := range uint64(20) {
		for off := range uint64(10) {
			w.must(w.write(ino+1, off*10_000, random(newRand(ino), 10_000)))
		}
		w.must(w.flush(t.Context(), ino+1))
		w.sealAll()
	}
	if n := len(w.objects.names()); n != 20 {
		t.Fatalf("%d objects", n)
	}
	return w
}

func TestSegmentsAreExaminedInGroupsThatFitIntoMemory(t *testing.T) {
	synctest.Test(t, testSegmentsAreExaminedInGroupsThatFitIntoMemory)
}

func testSegmentsAreExaminedInGroupsThatFitIntoMemory(t *testing.T) {
	w := manySegments(t)
	for i, name := range w.objects.names() {
		if i%3 == 0 {
			w.objects.flip(name, 50_000)
		}
	}
	for _, atOnce := range []int{1, 25, 1000} {
		faults, seen := w.examine(segments.Examination{Deep: true, ExtentsAtOnce: atOnce})
		files := 0
		for _, f := range faults {
			if f.Inode != 0 {
				files++
				// A page has bytes of two records or three.
				if f.Kind != segments.FaultPage || f.Len < 20_000 || f.Len > 30_000 || f.Inode%3 != 1 {
					t.Errorf("%+v", f)
				}
			}
		}
		if files != 7 || len(faults) != 14 || seen.Segments != 20 || seen.Bytes < 2_000_000 {
			t.Errorf("%d at once: %d files, %d faults, %+v", atOnce, files, len(faults), seen)
		}
	}
	if faults, _ := w.examine(segments.Examination{}); len(faults) > 0 {
		t.Errorf("headers alone: %v", faults)
	}
}

// local is a store on this machine.
type local struct{ *objects }

func (local) LocalPath(id string) string { return id }

// distant is a store that is not on this machine, counts requests, and can be
// unreadable in places.
type distant struct {
	*objects
	reads  int
	broken func(off int64, n int) error
}

func (d *distant) ReadAt(ctx context.Context, id string, p []byte, off int64) (int, error) {
	d.reads++
	if d.broken != nil {
		if err := d.broken(off, len(p)); err != nil {
			return 0, err
		}
	}
	return d.objects.ReadAt(ctx, id, p, off)
}

func TestAFarStoreIsAskedForFootersAloneUnlessAllIsRead(t *testing.T) {
	synctest.Test(t, testAFarStoreIsAskedForFootersAloneUnlessAllIsRead)
}

func testAFarStoreIsAskedForFootersAloneUnlessAllIsRead(t *testing.T) {
	w := manySegments(t)
	d := &distant{objects: w.objects}
	source := &segments.Source{Dir: w.dir, Content: d, Instance: testInstance, CachePages: true}
	if faults, _ := w.examine(segments.Examination{Source: source}); len(faults) > 0 || d.reads != 20 {
		t.Errorf("%d reads, %v", d.reads, faults)
	}
	if faults, _ := w.examine(segments.Examination{Source: source, Deep: true}); len(faults) > 0 || d.reads > 20+20*3 {
		t.Errorf("%d reads, %v", d.reads, faults)
	}
}

func TestBytesThatTheDiskDoesNotGiveAreDamagedAndAStoreThatIsAwayIsAnError(t *testing.T) {
	synctest.Test(t, testBytesThatTheDiskDoesNotGiveAreDamagedAndAStoreThatIsAwayIsAnError)
}

func testBytesThatTheDiskDoesNotGiveAreDamagedAndAStoreThatIsAwayIsAnError(t *testing.T) {
	w := manySegments(t)
	sick := errors.New("input/output error")
	d := &distant{objects: w.objects, broken: func(off int64, n int) error {
		if off <= 20_000 && 20_000 < off+int64(n) {
			return sick
		}
		return nil
	}}
	source := &segments.Source{Dir: w.dir, Content: d, Instance: testInstance}
	faults, _ := w.examine(segments.Examination{Source: source, Deep: true})
	if len(faults) != 40 || faults[0].Kind != segments.FaultPage || !strings.Contains(faults[0].What, "bytes 16384 to 32768") {
		t.Errorf("%d faults, %v", len(faults), kindsOf(faults))
	}
	d.broken = func(int64, int) error {
		return &fault.Error{Store: "content", Reason: fault.Unreachable, Message: "away"}
	}
	_, err := segments.Examine(t.Context(), segments.Examination{Index: w.meta, Source: source, Report: func(f segments.Fault) { t.Errorf("%v", f) }})
	if fault.Of(err) == nil {
		t.Errorf("a store that is away: %v", err)
	}
}

func TestBytesThatWereDamagedBeforeTheyWereSealedAreNamed(t *testing.T) {
	synctest.Test(t, testBytesThatWereDamagedBeforeTheyWereSealedAreNamed)
}

func testBytesThatWereDamagedBeforeTheyWereSealedAreNamed(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, random(newRand(1), 5000)))
	w.must(w.write(2, 0, []byte("neighbour")))
	w.must(w.flush(t.Context(), 1))
	w.must(w.flush(t.Context(), 2))
	if faults, _ := w.examine(segments.Examination{}); len(faults) > 0 {
		t.Errorf("unsealed and whole: %v", faults)
	}
	zero(t, w.journal()[0], format.HeaderLen+format.RecordHeaderLen+1000, 1)
	if faults, _ := w.examine(segments.Examination{}); len(faults) != 1 || faults[0].Kind != segments.FaultRecord || faults[0].Inode != 1 {
		t.Errorf("unsealed: %v", faults)
	}
	w.sealAll()
	for _, deep := range []bool{false, true} {
		if faults, _ := w.examine(segments.Examination{Deep: deep}); len(faults) != 1 || faults[0].Kind != segments.FaultSealed || faults[0].Inode != 1 || faults[0].Len != 5000 {
			t.Errorf("sealed: %+v", faults)
		}
	}
}

func TestADamagedHeaderDoesNotHideTheRecordsBehindIt(t *testing.T) {
	synctest.Test(t, testADamagedHeaderDoesNotHideTheRecordsBehindIt)
}

func testADamagedHeaderDoesNotHideTheRecordsBehindIt(t *testing.T) {
	w := manySegments(t)
	name := w.objects.names()[0]
	at := int(format.HeaderLen + 5*(format.RecordHeaderLen+10_000)) // the sixth record's
	w.objects.flip(name, at+3)
	faults, _ := w.examine(segments.Examination{Source: &segments.Source{Dir: w.dir, Content: local{w.objects}, Instance: testInstance}})
	if got := kindsOf(faults); !slices.Equal(got, []string{segments.FaultPage + " 0", segments.FaultPage + " 1"}) {
		t.Errorf("%v", faults)
	}
}

func TestAMissingSegmentIsLookedForWhereItMayHaveGone(t *testing.T) {
	synctest.Test(t, testAMissingSegmentIsLookedForWhereItMayHaveGone)
}

func testAMissingSegmentIsLookedForWhereItMayHaveGone(t *testing.T) {
	w := manySegments(t)
	// A snapshot from before segments were sealed and stored: no records.
	old := w.meta.clone(w)
	ids, b := []format.SegmentID{}, &meta.Batch{}
	w.store.journal.Segments().Each(func(g *journal.Segment) { ids = append(ids, g.ID) })
	for _, id := range ids {
		b.Delete(format.SegmentKey(id))
	}
	w.must(old.Store.Apply(t.Context(), b))
	var faults []segments.Fault
	x := segments.Examination{
		Index: old, Source: &segments.Source{Dir: w.dir, Content: w.objects, Instance: testInstance},
		Report: func(f segments.Fault) { faults = append(faults, f) },
	}
	if _, err := segments.Examine(t.Context(), x); err != nil || len(faults) != 40 {
		t.Errorf("%d faults, %v", len(faults), err)
	}
	faults = nil
	x.Current = w.meta
	if _, err := segments.Examine(t.Context(), x); err != nil || len(faults) > 0 {
		t.Errorf("as it is now: %v, %v", faults, err)
	}
}

// A backup may refer to what no file has: also a server that runs names the damage, until it deletes the segment.
func TestDamageThatCostsNoFileIsNamedUntilItsSegmentGoes(t *testing.T) {
	synctest.Test(t, testDamageThatCostsNoFileIsNamedUntilItsSegmentGoes)
}

func testDamageThatCostsNoFileIsNamedUntilItsSegmentGoes(t *testing.T) {
	opts := testOptions()
	var pinned atomic.Bool
	pinned.Store(true)
	opts.Pinned = func(format.SegmentID) bool { return pinned.Load() }
	opts.DeleteAfter = time.Nanosecond
	w := newWorld(t, opts)
	w.must(w.write(1, 0, random(newRand(1), 50_000)))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	name := w.objects.names()[0]
	w.objects.flip(name, 20_000)
	before := w.meta.clone(w)
	w.must(w.truncate(1, 0))
	w.must(w.flush(t.Context(), 1))
	examine := func(x segments.Examination) []segments.Fault {
		x.Deep = true
		faults, _ := w.examine(x)
		return faults
	}
	for what, current := range map[string]meta.Reader{"stopped": nil, "running": w.log} {
		if faults := examine(segments.Examination{Current: current}); len(faults) != 1 || faults[0].Kind != segments.FaultPage || !faults[0].Unused || faults[0].Inode != 0 {
			t.Errorf("%s: %+v", what, faults)
		}
	}
	after := w.meta.clone(w)
	pinned.Store(false)
	w.store.Reconsider()
	w.eventually("deletion", func() bool { return len(w.objects.names()) == 0 && w.store.Dead() == 0 })
	for what, old := range map[string]*fencedMeta{"was used in the snapshot": before, "was not": after} {
		var faults []segments.Fault
		x := segments.Examination{
			Index: old, Current: w.log, Deep: true, Source: &segments.Source{Dir: w.dir, Content: w.objects, Instance: testInstance},
			Report: func(f segments.Fault) { faults = append(faults, f) },
		}
		if _, err := segments.Examine(t.Context(), x); err != nil || len(faults) > 0 {
			t.Errorf("a segment that %s, and is deleted: %v, %v", what, faults, err)
		}
	}
}

func TestReadingKeepsToItsRate(t *testing.T) { synctest.Test(t, testReadingKeepsToItsRate) }

func testReadingKeepsToItsRate(t *testing.T) {
	w := manySegments(t)
	began := time.Now()
	_, seen := w.examine(segments.Examination{Deep: true, Rate: 4 << 20})
	least := time.Duration(float64(seen.Bytes-1<<20) / (4 << 20) * float64(time.Second))
	if took := time.Since(began); took < least*9/10 {
		t.Errorf("%d bytes in %v, less than %v", seen.Bytes, took, least)
	}
}
