package data

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/dittofs/dittofs/internal/data/format"
)

// FuzzRecovery damages the journal of a crashed store: every byte that is read
// afterwards is right, or its read is ErrCorrupt. What lies before the damage is
// there.
func FuzzRecovery(f *testing.F) {
	f.Add(100, []byte{1, 2, 3}, 0)
	f.Add(0, bytes.Repeat([]byte{0}, 5000), 10)
	f.Add(64, []byte{0xd1, 0x77, 0x05, 0xec, 0xff}, 4000)
	f.Fuzz(func(t *testing.T, at int, damage []byte, cut int) {
		if at < 0 || cut < 0 {
			return
		}
		w := newWorld(t, testOptions())
		rnd := newRand(1)
		parts := [][]byte{random(rnd, 300), random(rnd, 20_000), random(rnd, 1000)}
		for i, p := range parts {
			w.must(w.write(1, uint64(i)*30_000, p))
			w.must(w.flush(t.Context(), 1))
		}
		c := w.crash(nil)
		path := c.journal()[0]
		b, err := os.ReadFile(path)
		w.must(err)
		b = b[:max(len(b)-cut, 0)]
		intact := len(b)
		if at < len(b) && copy(b[at:], damage) > 0 {
			intact = at
		}
		w.must(os.WriteFile(path, b, 0o600))
		c.open()
		for range 2 {
			end := format.HeaderLen
			for i, p := range parts {
				end += format.RecordHeaderLen + len(p)
				got, err := c.read(1, uint64(i)*30_000, uint64(len(p)))
				if err == nil && !bytes.Equal(got, p) || err != nil && !errors.Is(err, format.ErrCorrupt) {
					t.Fatalf("part %d: wrong bytes, error %v", i, err)
				}
				if err != nil && end <= intact {
					t.Fatalf("part %d, before the damage at %d, is lost: %v", i, intact, err)
				}
			}
			c.sealAll()
		}
		c.checkIndex()
	})
}
