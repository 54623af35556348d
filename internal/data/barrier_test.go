package data

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

// refs are the segments that the pairs of a reader refer to.
func refs(t *testing.T, r meta.Reader) (ids []format.SegmentID) {
	t.Helper()
	pairs, err := r.Scan(t.Context(), meta.Range{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		id, err := Refers(p)
		if err != nil {
			t.Fatal(err)
		}
		if id != 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestWhatASnapshotRefersToStaysAndIsStoredWhileSegmentsAreHeld(t *testing.T) {
	synctest.Test(t, testWhatASnapshotRefersToStaysAndIsStoredWhileSegmentsAreHeld)
}

func testWhatASnapshotRefersToStaysAndIsStoredWhileSegmentsAreHeld(t *testing.T) {
	opts := testOptions()
	opts.DeleteAfter = time.Nanosecond
	w := newWorld(t, opts)
	w.must(w.write(1, 0, []byte("stored")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	w.must(w.write(2, 0, []byte("in the journal")))
	w.must(w.flush(t.Context(), 2))
	release, err := w.store.PinAll(t.Context())
	w.must(err)
	snap, err := w.log.Snapshot(t.Context())
	w.must(err)
	defer snap.Close()
	w.must(w.truncate(1, 0))
	w.must(w.truncate(2, 0))

	ids := refs(t, snap)
	stored, err := w.store.EnsureStored(t.Context(), ids)
	w.must(err)
	if len(stored) != 2 || len(ids) != 2 {
		t.Fatalf("the snapshot refers to %v, stored are %v", ids, stored)
	}
	w.store.collector.Pass(t.Context(), time.Now().Add(time.Second))
	for i, g := range stored {
		size, err := w.objects.Size(t.Context(), g.ID.Object())
		if err != nil || size != g.Size || g.ID != ids[i] {
			t.Errorf("segment %v of %d bytes: %d, %v", g.ID, g.Size, size, err)
		}
	}
	release()
	release()
	w.eventually("deletion", func() bool { return len(w.objects.names()) == 0 })
}

func TestAPinnedSegmentStaysUntilItIsNoLonger(t *testing.T) {
	synctest.Test(t, testAPinnedSegmentStaysUntilItIsNoLonger)
}

func testAPinnedSegmentStaysUntilItIsNoLonger(t *testing.T) {
	var pinned atomic.Bool
	opts := testOptions()
	opts.DeleteAfter = time.Nanosecond
	opts.Pinned = func(format.SegmentID) bool { return pinned.Load() }
	w := newWorld(t, opts)
	w.must(w.write(1, 0, []byte("stored")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	pinned.Store(true)
	w.must(w.truncate(1, 0))
	w.store.collector.Pass(t.Context(), time.Now().Add(time.Second))
	w.reopen()
	w.store.collector.Pass(t.Context(), time.Now().Add(time.Second))
	if n := len(w.objects.names()); n != 1 {
		t.Fatalf("%d objects; a backup refers to one", n)
	}
	if wait := w.store.collector.Pass(t.Context(), time.Now().Add(time.Second)); wait != 0 {
		t.Errorf("the collector looks again in %v though nothing has changed", wait)
	}
	pinned.Store(false)
	w.store.Reconsider()
	w.eventually("deletion", func() bool { return len(w.objects.names()) == 0 })
}

func TestEnsureStoredFailsWhenTheContentStoreTakesNothing(t *testing.T) {
	synctest.Test(t, testEnsureStoredFailsWhenTheContentStoreTakesNothing)
}

func testEnsureStoredFailsWhenTheContentStoreTakesNothing(t *testing.T) {
	opts := testOptions()
	opts.FullTimeout = time.Second
	w := newWorld(t, opts)
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("in the journal")))
	w.must(w.flush(t.Context(), 1))
	if _, err := w.store.EnsureStored(t.Context(), refs(t, w.log)); !errors.Is(err, ErrNotStored) {
		t.Errorf("%v", err)
	}
	w.objects.fail(nil)
	if _, err := w.store.EnsureStored(t.Context(), append(refs(t, w.log), format.NewSegmentID(99, 1))); err != nil {
		t.Error(err)
	}
}

func TestTheIndexEntryOfAStoredSegmentIsTheOneThatTheStoreWrites(t *testing.T) {
	synctest.Test(t, testTheIndexEntryOfAStoredSegmentIsTheOneThatTheStoreWrites)
}

func testTheIndexEntryOfAStoredSegmentIsTheOneThatTheStoreWrites(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("stored")))
	w.must(w.flush(t.Context(), 1))
	stored, err := w.store.EnsureStored(t.Context(), refs(t, w.log))
	w.must(err)
	p := stored[0].IndexEntry()
	got, err := w.log.Get(t.Context(), p.Key)
	if err != nil || string(got[0]) != string(p.Value) || stored[0].Payload != 6 {
		t.Errorf("%x is %x in the index, %x here, %v", p.Key, got[0], p.Value, err)
	}
}
