package data

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
)

func TestASegmentIsKeptUntilTheBatchThatFreesItIsSubmitted(t *testing.T) {
	synctest.Test(t, testASegmentIsKeptUntilTheBatchThatFreesItIsSubmitted)
}

func testASegmentIsKeptUntilTheBatchThatFreesItIsSubmitted(t *testing.T) {
	opts := testOptions()
	opts.DeleteAfter = time.Nanosecond
	w := newWorld(t, opts)
	w.must(w.write(1, 0, []byte("stored")))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	b := &meta.Batch{}
	_, err := w.file(1).f.Resize(t.Context(), b, 6, 0, 100_000)
	w.must(err)
	w.store.collector.Pass(t.Context(), time.Now().Add(time.Millisecond))
	if n := len(w.objects.names()); n != 1 {
		t.Fatal("a crash now would lose bytes that are still in the index")
	}
	w.must(w.log.Apply(b))
	w.eventually("deletion", func() bool { return len(w.objects.names()) == 0 })
}

func TestAJournalSegmentIsKeptUntilTheBatchThatFreesItIsSubmitted(t *testing.T) {
	synctest.Test(t, testAJournalSegmentIsKeptUntilTheBatchThatFreesItIsSubmitted)
}

func testAJournalSegmentIsKeptUntilTheBatchThatFreesItIsSubmitted(t *testing.T) {
	w := newWorld(t, testOptions())
	w.objects.fail(errors.New("out of order"))
	w.must(w.write(1, 0, []byte("in the journal")))
	w.must(w.flush(t.Context(), 1))
	b := &meta.Batch{}
	_, err := w.file(1).f.Resize(t.Context(), b, 14, 0, 100_000)
	w.must(err)
	w.objects.fail(nil)
	w.sealAll()
	if n := len(w.objects.names()); n != 1 {
		t.Fatal("a crash now would lose bytes that are still in the index")
	}
	c := w.crash(nil)
	c.open()
	c.expect(1, 0, []byte("in the journal"))
}
