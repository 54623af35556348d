package data

import (
	"os"
	"testing"
)

// As in package journal: what few bytes between two syncs are, and how many zeros are
// written at once.
const (
	fewBytes = 16 << 10
	fillStep = 256 << 10
)

// Bytes that replace zeros are cheaper to sync than bytes that are new to a
// file. The file of a segment shows which of them a record met.
func TestZerosGoAheadOfRecordsWhereLittleIsWrittenBetweenSyncs(t *testing.T) {
	for name, c := range map[string]struct {
		record int
		ahead  bool
	}{"little": {4 << 10, true}, "much": {2 * fewBytes, false}} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions()
			opts.SegmentSize = 4 << 20
			w := newWorld(t, opts)
			for i := range uint64(3) {
				w.must(w.write(1, i*uint64(c.record), make([]byte, c.record)))
				w.must(w.flush(t.Context(), 1))
			}
			info, err := os.Stat(w.journal()[0])
			if err != nil {
				t.Fatal(err)
			}
			if ahead := info.Size() > w.tail(); ahead != c.ahead {
				t.Errorf("a file of %d bytes for %d of records", info.Size(), w.tail())
			}
			if info.Size() > w.tail()+fillStep {
				t.Errorf("%d bytes of zeros", info.Size()-w.tail())
			}
			w = w.crash(nil)
			w.open()
			w.expect(1, uint64(2*c.record), make([]byte, c.record))
		})
	}
}
