package journal

import (
	"math/rand/v2"
	"testing"

	"github.com/dittofs/dittofs/internal/data/format"
)

func TestTheChecksumOfARecordIsThatOfAllItsParts(t *testing.T) {
	p := make([]byte, 3*partSize+10)
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	for _, n := range []int{1, partSize - 1, partSize, partSize + 1, 2 * partSize, 2*partSize + 1, 3 * partSize, len(p)} {
		sums, whole := appendSums(nil, p[:n])
		if whole != format.Checksum(p[:n]) {
			t.Errorf("%d bytes: %08x, want %08x", n, whole, format.Checksum(p[:n]))
		}
		if want := (n + partSize - 1) / partSize; len(sums) != want {
			t.Errorf("%d bytes: %d parts, want %d", n, len(sums), want)
		}
	}
}
