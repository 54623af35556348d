package data

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
)

// stored returns a world with one file whose bytes are in the content store,
// and the name of the object.
func stored(t *testing.T, p []byte) (*world, string) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, p))
	w.must(w.flush(t.Context(), 1))
	w.sealAll()
	names := w.objects.names()
	if len(names) != 1 || len(w.journal()) != 0 {
		t.Fatalf("objects %v, journal %v", names, w.journal())
	}
	return w, names[0]
}

func TestEveryFlippedByteOfAStoredSegmentIsCorruptionOrHarmless(t *testing.T) {
	synctest.Test(t, testEveryFlippedByteOfAStoredSegmentIsCorruptionOrHarmless)
}

func testEveryFlippedByteOfAStoredSegmentIsCorruptionOrHarmless(t *testing.T) {
	p := random(newRand(1), 40_000)
	w, name := stored(t, p)
	object := w.objects.m[name]
	harmless := 0
	for at := 0; at < len(object); at += 37 {
		w.objects.flip(name, at)
		w.store.cache.ForgetFooter(format.NewSegmentID(1, 1))
		got, err := w.read(1, 0, uint64(len(p)))
		switch {
		case err == nil && string(got) == string(p):
			harmless++
		case err == nil:
			t.Fatalf("byte %d flipped: other bytes were returned", at)
		case !errors.Is(err, format.ErrCorrupt):
			t.Fatalf("byte %d flipped: %v", at, err)
		}
		w.objects.flip(name, at)
	}
	if harmless > 0 {
		t.Fatalf("%d flips were not noticed", harmless)
	}
	w.store.cache.ForgetFooter(format.NewSegmentID(1, 1))
	w.expect(1, 0, p)
}

func TestDamageOfOnePageLeavesTheOthersReadable(t *testing.T) {
	synctest.Test(t, testDamageOfOnePageLeavesTheOthersReadable)
}

func testDamageOfOnePageLeavesTheOthersReadable(t *testing.T) {
	p := random(newRand(1), 100_000)
	w, name := stored(t, p)
	w.objects.flip(name, 2*format.BlockSize+5)
	w.expect(1, 0, p[:format.BlockSize])
	w.expectCorrupt(1, 2*format.BlockSize, 10)
	w.expect(1, 4*format.BlockSize, p[4*format.BlockSize:])
}

func TestAMissingOrShortObjectIsCorruption(t *testing.T) {
	synctest.Test(t, testAMissingOrShortObjectIsCorruption)
}

func testAMissingOrShortObjectIsCorruption(t *testing.T) {
	p := random(newRand(1), 100_000)
	w, name := stored(t, p)
	whole := w.objects.m[name]
	w.objects.m[name] = whole[:50_000]
	w.expectCorrupt(1, 60_000, 10)
	delete(w.objects.m, name)
	w.expectCorrupt(1, 0, 10)
	w.next()
	w.store.Close(t.Context())
	w.open()
	w.expectCorrupt(1, 0, 10)
}

func TestAnotherSegmentUnderTheSameNameIsCorruption(t *testing.T) {
	synctest.Test(t, testAnotherSegmentUnderTheSameNameIsCorruption)
}

func testAnotherSegmentUnderTheSameNameIsCorruption(t *testing.T) {
	w, name := stored(t, random(newRand(1), 100_000))
	other, otherName := stored(t, random(newRand(2), 100_000))
	w.objects.m[name] = other.objects.m[otherName]
	w.store.cache.ForgetFooter(format.NewSegmentID(1, 1))
	w.expectCorrupt(1, 0, 10)
}

func TestAFlippedByteInTheJournalIsCorruptionAfterTheNextStart(t *testing.T) {
	synctest.Test(t, testAFlippedByteInTheJournalIsCorruptionAfterTheNextStart)
}

func testAFlippedByteInTheJournalIsCorruptionAfterTheNextStart(t *testing.T) {
	p := random(newRand(1), 5000)
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, p))
	w.must(w.flush(t.Context(), 1))
	for at := int64(0); at < int64(format.HeaderLen+format.RecordHeaderLen+len(p)); at += 61 {
		c := w.crash(nil)
		zero(t, c.journal()[0], at, 1)
		c.open()
		got, err := c.read(1, 0, uint64(len(p)))
		switch {
		case at < format.HeaderLen:
			// The records prove themselves to be of this segment.
			if err != nil || string(got) != string(p) {
				t.Fatalf("byte %d of the header: %v", at, err)
			}
		case !errors.Is(err, format.ErrCorrupt):
			t.Fatalf("byte %d: %v", at, err)
		}
		c.close()
	}
}

func TestAFlippedByteBetweenWriteAndSealingIsNotSealedAsGood(t *testing.T) {
	synctest.Test(t, testAFlippedByteBetweenWriteAndSealingIsNotSealedAsGood)
}

func testAFlippedByteBetweenWriteAndSealingIsNotSealedAsGood(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, random(newRand(1), 5000)))
	w.must(w.write(2, 0, []byte("neighbour")))
	w.must(w.flush(t.Context(), 1))
	w.must(w.flush(t.Context(), 2))
	zero(t, w.journal()[0], format.HeaderLen+format.RecordHeaderLen+1000, 1)
	w.sealAll()
	w.expectCorrupt(1, 0, 5000)
	w.expectCorrupt(1, 3000, 1)
	w.expect(2, 0, []byte("neighbour"))
	w.reopen()
	w.expectCorrupt(1, 0, 5000)
	w.expect(2, 0, []byte("neighbour"))
}

func TestASealedLocalSegmentIsVerifiedOnRead(t *testing.T) {
	synctest.Test(t, testASealedLocalSegmentIsVerifiedOnRead)
}

func testASealedLocalSegmentIsVerifiedOnRead(t *testing.T) {
	w := newWorld(t, testOptions())
	w.objects.fail(errors.New("out of order"))
	p := random(newRand(1), 100_000)
	w.must(w.write(1, 0, p))
	w.must(w.flush(t.Context(), 1))
	w.store.journal.Retire()
	w.eventually("sealing", func() bool { return w.store.Stats().Sealed == 1 })
	w.expect(1, 0, p)
	zero(t, w.journal()[0], 50_000, 1)
	w.expectCorrupt(1, 49_000, 2000)
	w.expect(1, 0, p[:10_000])
}

func TestAMissingJournalFileIsCorruptionAndTheRestStillWorks(t *testing.T) {
	synctest.Test(t, testAMissingJournalFileIsCorruptionAndTheRestStillWorks)
}

func testAMissingJournalFileIsCorruptionAndTheRestStillWorks(t *testing.T) {
	w := newWorld(t, testOptions())
	w.must(w.write(1, 0, []byte("lost")))
	w.must(w.flush(t.Context(), 1))
	c := w.crash(nil)
	w.must(os.Remove(c.journal()[0]))
	c.open()
	c.expectCorrupt(1, 0, 4)
	c.must(c.write(2, 0, []byte("new")))
	c.must(c.flush(t.Context(), 2))
	c.expect(2, 0, []byte("new"))
	c.must(c.truncate(1, 0))
	c.checkIndex()
}

func TestASegmentThatNobodyKnowsIsCorruption(t *testing.T) {
	synctest.Test(t, testASegmentThatNobodyKnowsIsCorruption)
}

func testASegmentThatNobodyKnowsIsCorruption(t *testing.T) {
	w := newWorld(t, testOptions())
	unknown := format.Extent{Off: 0, Len: 10, Seg: format.NewSegmentID(1, 12345), Pos: format.HeaderLen + format.RecordHeaderLen}
	hole := format.Extent{Off: 10, Len: 10}
	for _, extents := range [][]format.Extent{{unknown}, {unknown, hole}} {
		if b, err := w.store.Read(t.Context(), extents, false); !errors.Is(err, format.ErrCorrupt) {
			t.Errorf("a read of %d extents gave %v (%v)", len(extents), b, err)
		}
	}
}

func TestOpenRefusesWhatIsNotItsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(w *world)
		want    error
	}{
		"a directory with files of something else": {func(w *world) {
			w.must(os.Remove(w.dir + "/" + "instance"))
			w.must(os.WriteFile(w.dir+"/letters.txt", nil, 0o600))
		}, ErrNotOurs},
		"a journal without its marker": {func(w *world) {
			w.must(os.Remove(w.dir + "/" + "instance"))
			w.must(os.WriteFile(w.dir+"/journal/0000000000000001-00000001.seg", nil, 0o600))
		}, ErrNotOurs},
		"the directory of another instance": {func(w *world) {
			w.must(os.WriteFile(w.dir+"/"+"instance", []byte("dittofs journal 1\n"+strings.Repeat("f", 32)+"\n"), 0o600))
		}, ErrForeign},
		"a marker of an unknown format": {func(w *world) {
			w.must(os.WriteFile(w.dir+"/"+"instance", []byte("dittofs journal 2\n"), 0o600))
		}, ErrForeign},
		"a segment of a later owner": {func(w *world) {
			w.must(os.WriteFile(w.dir+"/journal/0000000000000063-00000001.seg", nil, 0o600))
		}, ErrForeign},
		"the content store of another instance": {func(w *world) { w.objects.owner = "another" }, content.ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testOptions())
			w.close()
			test.prepare(w)
			w.next()
			err := w.tryOpen()
			if !errors.Is(err, test.want) {
				t.Fatalf("open: %v", err)
			}
			var dir *DirError
			if test.want != content.ErrForeign && (!errors.As(err, &dir) || dir.Dir != w.dir) {
				t.Fatalf("the error does not name the directory: %v", err)
			}
		})
	}
}

func TestADirectoryIsUsedByOneProcessAtATime(t *testing.T) {
	synctest.Test(t, testADirectoryIsUsedByOneProcessAtATime)
}

func testADirectoryIsUsedByOneProcessAtATime(t *testing.T) {
	w := newWorld(t, testOptions())
	second := &world{t: t, dir: w.dir, meta: w.meta, objects: w.objects, opts: w.opts}
	if err := second.tryOpen(); !errors.Is(err, ErrInUse) {
		t.Fatalf("second open: %v", err)
	}
}

func TestAVolatileInstanceReplacesWhatItsPredecessorLeft(t *testing.T) {
	synctest.Test(t, testAVolatileInstanceReplacesWhatItsPredecessorLeft)
}

func testAVolatileInstanceReplacesWhatItsPredecessorLeft(t *testing.T) {
	opts := testOptions()
	opts.Volatile = true
	w := newWorld(t, opts)
	w.must(w.write(1, 0, []byte("gone")))
	w.must(w.flush(t.Context(), 1))
	c := newWorld(t, opts)
	c.close()
	c.dir = w.crash(nil).dir
	c.open()
	if left := c.journal(); len(left) > 0 {
		t.Fatalf("the journal keeps %v", left)
	}
	c.close()
	c.opts.Volatile = false
	if err := c.tryOpen(); !errors.Is(err, ErrForeign) {
		t.Fatalf("a volatile journal was taken over: %v", err)
	}
}
