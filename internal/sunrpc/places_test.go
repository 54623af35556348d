package sunrpc

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestPlacesAreTakenByNoMoreThanThereAreAndByAllInTheEnd(t *testing.T) {
	const most, takers, times = 3, 20, 500
	p := newPlaces(most)
	var inside, over atomic.Int64
	var done sync.WaitGroup
	for range takers {
		done.Go(func() {
			for range times {
				p.take()
				if inside.Add(1) > most {
					over.Add(1)
				}
				runtime.Gosched()
				inside.Add(-1)
				p.give()
			}
		})
	}
	done.Wait() // for ever if a wake-up is lost
	if over.Load() > 0 {
		t.Errorf("more than %d had a place %d times", most, over.Load())
	}
	for range most {
		if !p.try() {
			t.Error("a place is taken at the end")
		}
	}
}

// Who gives a place back and comes again at once does not come before those who
// wait, and these have it in the order in which they came.
func TestPlacesAreGivenInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1)
		p.take()
		const waiters = 3
		turns := make(chan int, waiters)
		for i := range waiters {
			go func() {
				p.take()
				turns <- i
			}()
			synctest.Wait() // until it waits
		}
		for want := range waiters {
			p.give()
			if p.try() {
				t.Fatalf("one who comes again is before number %d, who waits", want)
			}
			if got := <-turns; got != want {
				t.Errorf("number %d had the place before number %d", got, want)
			}
		}
		p.give()
		if !p.try() {
			t.Error("nobody waits, and there is no place")
		}
	})
}
