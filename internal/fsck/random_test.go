package fsck_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
)

var seeds = flag.Int("seeds", 60, "random damages that are repaired")

// TestRandomDamageIsRepairedOnceAndNothingIsLostByIt damages a few records at
// random. A repair comes to an end, a second one finds nothing to do, no bytes
// of a file go, and no file that had a name is without one.
func TestRandomDamageIsRepairedOnceAndNothingIsLostByIt(t *testing.T) {
	pristine := newImage(t)
	for seed := range uint64(*seeds) {
		m := pristine.copy(t)
		rng := rand.New(rand.NewPCG(seed, 5))
		for range 1 + rng.IntN(6) {
			m.damage(rng)
		}
		inodes, extents := m.count('i'), m.count('x')
		first := m.repair()
		second := m.repair()
		if second.Repaired > 0 || second.Faults > first.Faults {
			t.Errorf("seed %d\nfirst: %v\nsecond: %v", seed, first, second)
		}
		if m.count('x') != extents || m.count('i') < inodes {
			t.Errorf("seed %d: %d extents and %d inodes before, %d and %d after: %v",
				seed, extents, inodes, m.count('x'), m.count('i'), first)
		}
		if first.Clean != second.Clean {
			t.Errorf("seed %d: %v, then %v", seed, first, second)
		}
	}
}

func (m *image) count(prefix byte) int {
	pairs, err := m.meta.Scan(m.t.Context(), meta.PrefixRange([]byte{prefix}), 1<<30)
	m.must(err)
	return len(pairs)
}

// damage deletes a record, flips a bit of one, or puts one at another's place.
func (m *image) damage(rng *rand.Rand) {
	pairs, err := m.meta.Scan(m.t.Context(), meta.Range{}, 1<<30)
	m.must(err)
	at, other := pairs[rng.IntN(len(pairs))], pairs[rng.IntN(len(pairs))]
	switch rng.IntN(4) {
	case 0:
		m.del(at.Key)
	case 1:
		m.put(at.Key, other.Value)
	case 2:
		m.put(append([]byte{at.Key[0]}, other.Key[1:]...), at.Value)
	default:
		if len(at.Value) > 0 {
			at.Value[rng.IntN(len(at.Value))] ^= 1 << rng.IntN(8)
		}
		m.put(at.Key, at.Value)
	}
}
