package contenttest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
)

func testConcurrentPuts(t *testing.T, open Open) {
	s, _ := open(t)
	const writers = 8
	for round := range 10 {
		var wg sync.WaitGroup
		var same, other [writers]error
		for w := range writers {
			wg.Go(func() {
				same[w] = put(t.Context(), s, fmt.Sprintf("same/%d", round), pattern(7, 50_000))
				other[w] = put(t.Context(), s, fmt.Sprintf("other/%d", round), pattern(uint64(w), 50_000))
			})
		}
		wg.Wait()
		winner := -1
		for w := range writers {
			if same[w] != nil {
				t.Errorf("put of the same content: %v", same[w])
			}
			switch {
			case other[w] == nil && winner < 0:
				winner = w
			case other[w] == nil:
				t.Errorf("both %d and %d put their content", winner, w)
			case !errors.Is(other[w], content.ErrExists):
				t.Errorf("put of another content: %v", other[w])
			}
		}
		if winner < 0 {
			t.Fatal("nobody put the object")
		}
		expect(t, s, fmt.Sprintf("same/%d", round), pattern(7, 50_000))
		expect(t, s, fmt.Sprintf("other/%d", round), pattern(uint64(winner), 50_000))
	}
}

// testReadersAndDeleters reads objects that come and go under the same names
// with the same content: a read is whole or not found.
func testReadersAndDeleters(t *testing.T, open Open) {
	s, _ := open(t)
	const objects, rounds, least = 4, 40, 20
	deadline := time.Now().Add(20 * time.Second)
	data := make([][]byte, objects)
	for i := range data {
		data[i] = pattern(uint64(i), 10_000)
	}
	var stop atomic.Bool
	var whole, absent atomic.Int64
	var readers, writers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			p := make([]byte, 1000)
			for i := r; !stop.Load(); i++ {
				off := int64(i*13) % 9_000
				_, err := s.ReadAt(t.Context(), fmt.Sprintf("o/%d", i%objects), p, off)
				switch {
				case errors.Is(err, content.ErrNotFound):
					absent.Add(1)
				case err != nil:
					t.Errorf("read: %v", err)
				case !bytes.Equal(p, data[i%objects][off:off+1000]):
					t.Errorf("object %d has another content", i%objects)
				default:
					whole.Add(1)
				}
			}
		})
	}
	for o := range objects {
		writers.Go(func() {
			id := fmt.Sprintf("o/%d", o)
			// Until readers have met both, however fast the store is.
			for round := 0; round < rounds || whole.Load() < least || absent.Load() < least; round++ {
				if time.Now().After(deadline) {
					t.Errorf("in %d rounds readers met %d objects, and %d times none", round, whole.Load(), absent.Load())
					return
				}
				if err := put(t.Context(), s, id, data[o]); err != nil {
					t.Errorf("put: %v", err)
				}
				if err := s.Delete(t.Context(), id); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	for o := range objects {
		expectNone(t, s, fmt.Sprintf("o/%d", o))
	}
}
