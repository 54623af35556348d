package data

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/data/format"
)

// strayed is a world of epoch 2 whose content store has one segment of epoch 1
// that files use, one of epoch 2 on its way into the index, and objects with the
// names that are given.
func strayed(t *testing.T, opts Options, names ...string) *world {
	t.Helper()
	w := newWorld(t, opts)
	w.must(w.write(1, 0, []byte("stored")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.reopen()
	w.must(w.write(2, 0, []byte("new")))
	w.must(w.flush(t.Context(), 2))
	for _, name := range names {
		w.must(w.objects.Put(t.Context(), name, strings.NewReader("12345"), 5))
	}
	return w
}

func (w *world) orphans(remove bool) (names []string, sum Orphans) {
	w.t.Helper()
	sum, err := w.store.Orphans(w.t.Context(), remove, func(object string, size int64) error {
		names = append(names, fmt.Sprint(object, " ", size))
		return nil
	})
	w.must(err)
	return names, sum
}

func TestOnlySegmentsOfEarlierEpochsThatNobodyKnowsAreOrphans(t *testing.T) {
	synctest.Test(t, testOnlySegmentsOfEarlierEpochsThatNobodyKnowsAreOrphans)
}

func testOnlySegmentsOfEarlierEpochsThatNobodyKnowsAreOrphans(t *testing.T) {
	opts := testOptions()
	opts.Pinned = func(id format.SegmentID) bool { return id == format.NewSegmentID(1, 0x201) }
	w := strayed(t, opts,
		"segments/0000000000000001/00000200", "segments/0000000000000001/00000201", // the second is in a backup
		"segments/0000000000000002/00000300", // of this epoch: perhaps under way
		"segments/0000000000000001/200", "segments/other", "segments/0000000000000000/00000001", "backups/x", "restores/done/1", "more")
	before := w.objects.names()
	want := Orphans{Found: 1, Bytes: 5, Kept: 1}
	for range 2 { // a list changes nothing
		if names, sum := w.orphans(false); fmt.Sprint(names) != "[segments/0000000000000001/00000200 5]" || sum != want {
			t.Errorf("%v, %+v", names, sum)
		}
	}
	if got := w.objects.names(); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("a list made %v of %v", got, before)
	}
	release, err := w.store.PinAll(t.Context())
	w.must(err)
	if names, sum := w.orphans(true); len(names) != 0 || sum.Kept != 2 {
		t.Errorf("while a backup is made: %v, %+v", names, sum)
	}
	release()
	if names, sum := w.orphans(true); len(names) != 1 || sum != want {
		t.Errorf("%v, %+v", names, sum)
	}
	if fmt.Sprint(w.objects.deleted) != "[segments/0000000000000001/00000200]" || w.store.Stats().Orphans != 1 {
		t.Errorf("deleted were %v, counted %d", w.objects.deleted, w.store.Stats().Orphans)
	}
	if names, sum := w.orphans(true); len(names) != 0 || sum != (Orphans{Kept: 1}) {
		t.Errorf("then %v, %+v", names, sum)
	}
	w.expect(1, 0, []byte("stored"))
	w.expect(2, 0, []byte("new"))
	w.sealAll()
	w.reopen()
	w.expect(1, 0, []byte("stored"))
	w.expect(2, 0, []byte("new"))
}

func TestNothingIsAnOrphanWhenTheMetadataIsOlderThanTheContentStore(t *testing.T) {
	synctest.Test(t, testNothingIsAnOrphanWhenTheMetadataIsOlderThanTheContentStore)
}

func testNothingIsAnOrphanWhenTheMetadataIsOlderThanTheContentStore(t *testing.T) {
	w := strayed(t, testOptions(), "segments/0000000000000001/00000200", "segments/0000000000000003/00000001")
	for _, remove := range []bool{false, true} {
		sum, err := w.store.Orphans(t.Context(), remove, func(object string, _ int64) error {
			t.Errorf("%s is called an orphan", object)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "segments/0000000000000003/00000001 is of epoch 3 and this server of 2: the metadata is older") {
			t.Errorf("%+v, %v", sum, err)
		}
	}
	if len(w.objects.deleted) > 0 {
		t.Errorf("deleted were %v", w.objects.deleted)
	}
}
