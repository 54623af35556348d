package data

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/data/journal"
)

// twoDead makes two segments that nothing refers to and one that is used.
func twoDead(t *testing.T, deleteAfter time.Duration) *world {
	opts := testOptions()
	opts.DeleteAfter = deleteAfter
	w := newWorld(t, opts)
	for i := range 3 {
		w.must(w.write(1, 0, random(newRand(uint64(i)), 10_000)))
		w.must(w.flush(t.Context(), 1))
		w.sealAll()
	}
	return w
}

func collectAll(w *world) (reports []Progress, err error) {
	err = w.store.Collect(w.t.Context(), 1, func(p Progress) error {
		reports = append(reports, p)
		return nil
	})
	return reports, err
}

func TestCollectDeletesWhatIsDeadAndSaysSo(t *testing.T) {
	synctest.Test(t, testCollectDeletesWhatIsDeadAndSaysSo)
}

func testCollectDeletesWhatIsDeadAndSaysSo(t *testing.T) {
	w := twoDead(t, 200*time.Millisecond)
	began := time.Now()
	reports, err := collectAll(w)
	w.must(err)
	first, last := reports[0], reports[len(reports)-1]
	if first.Dead != 2 || first.Deleted != 0 || last.Dead != 0 || last.Deleted != 2 || last.Freed < 20_000 || last.Freed > 30_000 || last.Err != nil {
		t.Errorf("%+v", reports)
	}
	if names := w.objects.names(); len(names) != 1 || w.store.Dead() != 0 {
		t.Errorf("objects %v, %d dead", names, w.store.Dead())
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if reports, err = collectAll(w); err != nil || fmt.Sprint(reports) != "[{0 0 0 0 0 0 <nil>} {0 0 0 0 0 0 <nil>}]" {
		t.Errorf("with nothing to do: %+v %v", reports, err)
	}
}

func TestCollectRewritesWhatIsMostlyDeadAndDeletesIt(t *testing.T) {
	synctest.Test(t, testCollectRewritesWhatIsMostlyDeadAndDeletesIt)
}

func testCollectRewritesWhatIsMostlyDeadAndDeletesIt(t *testing.T) {
	opts := compactOptions()
	opts.DeleteAfter = 200 * time.Millisecond
	w := newWorld(t, opts)
	want := w.scatter(1, 500, 4)
	before := w.stored()
	var reports []Progress
	w.must(w.store.Collect(t.Context(), 0.1, func(p Progress) error {
		reports = append(reports, p)
		return nil
	}))
	w.eventually("the rewritten bytes are stored", func() bool { return w.stored() < before })
	last := reports[len(reports)-1]
	if last.Compacted == 0 || last.Rewritten == 0 || last.Deleted == 0 || last.Freed == 0 || last.Dead != 0 || last.Err != nil || len(reports) < 3 {
		t.Errorf("%+v", last)
	}
	w.expect(1, 0, want)
	stop := errors.New("stop")
	w.scatter(1, 500, 4)
	if err := w.store.Collect(t.Context(), 0.1, func(p Progress) error {
		if p.Compacted > 0 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Errorf("a client that goes away: %v", err)
	}
}

func TestCollectKeepsADeadSegmentForItsReaders(t *testing.T) {
	synctest.Test(t, testCollectKeepsADeadSegmentForItsReaders)
}

func testCollectKeepsADeadSegmentForItsReaders(t *testing.T) {
	w := twoDead(t, time.Hour)
	stop := errors.New("stop")
	err := w.store.Collect(t.Context(), 1, func(p Progress) error {
		if p.Dead != 2 {
			t.Errorf("%+v", p)
		}
		go w.close() // ends the wait
		return nil
	})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := w.store.Collect(t.Context(), 1, func(Progress) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if n := len(w.objects.names()); n != 3 {
		t.Errorf("%d objects: a reader may need them", n)
	}
}

func TestCollectTellsWhatCouldNotBeDeleted(t *testing.T) {
	synctest.Test(t, testCollectTellsWhatCouldNotBeDeleted)
}

func testCollectTellsWhatCouldNotBeDeleted(t *testing.T) {
	w := twoDead(t, 200*time.Millisecond)
	away := errors.New("away")
	w.objects.fail(away)
	reports, err := collectAll(w)
	w.must(err)
	if last := reports[len(reports)-1]; last.Deleted != 0 || last.Dead != 2 || !errors.Is(last.Err, away) {
		t.Errorf("%+v", reports)
	}
	w.objects.fail(nil)
	w.eventually("deletion", func() bool { return len(w.objects.names()) == 1 })
}

func TestLagIsWhatTheContentStoreDoesNotHave(t *testing.T) {
	w := newWorld(t, testOptions())
	if l := w.store.Lag(); l != (Lag{}) {
		t.Errorf("of an empty store: %+v", l)
	}
	w.objects.fail(errors.New("away"))
	before := time.Now()
	w.must(w.write(1, 0, random(newRand(1), 10_000)))
	after := time.Now()
	l := w.store.Lag()
	if l.Segments != 1 || l.Bytes < 10_000 || l.Bytes > 11_000 || l.Oldest.Before(before) || l.Oldest.After(after) {
		t.Errorf("with an open segment: %+v", l)
	}
	w.must(w.flush(t.Context(), 1))
	w.store.journal.RetireAll()
	w.eventually("a sealed segment", func() bool { return w.store.Stats().Unsent == 1 })
	w.must(w.write(1, 10_000, random(newRand(1), 10_000)))
	if l := w.store.Lag(); l.Segments != 2 || l.Bytes < 20_000 || l.Bytes > 22_000 || l.Oldest.Before(before) || l.Oldest.After(after) {
		t.Errorf("with a sealed one before it: %+v", l)
	}
	w.must(w.flush(t.Context(), 1))
	c := w.crash(nil)
	c.objects.fail(errors.New("away"))
	c.open()
	if l := c.store.Lag(); l.Segments != 2 || l.Bytes < 20_000 || l.Oldest.IsZero() || l.Oldest.After(time.Now()) {
		t.Errorf("after a crash: %+v", l)
	}
	w.objects.fail(nil)
	w.sealAll()
	if l := w.store.Lag(); l != (Lag{}) {
		t.Errorf("when all is stored: %+v", l)
	}
}

// What may still arrive is not dead: nothing can be deleted.
func TestWhatIsExpectedIsNotDead(t *testing.T) { synctest.Test(t, testWhatIsExpectedIsNotDead) }

func testWhatIsExpectedIsNotDead(t *testing.T) {
	w := twoDead(t, time.Hour)
	if dead, expected := w.store.Dead(), w.store.Expected(); dead != 2 || expected != 0 {
		t.Fatalf("%d dead, %d expected", dead, expected)
	}
	for _, g := range w.store.journal.Segments().Select((*journal.Segment).Unused) {
		w.store.journal.Recovery().Lost(g)
		w.store.collector.Expect(g)
	}
	if dead, expected := w.store.Dead(), w.store.Expected(); dead != 0 || expected != 2 {
		t.Fatalf("%d dead, %d expected", dead, expected)
	}
}
