package sunrpc

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
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

// Who gives a place back and comes again at once does not come before one who waits.
func TestPlacesAreGivenInTurn(t *testing.T) {
	p := newPlaces(1)
	p.take()
	turn := make(chan struct{})
	go func() {
		p.take()
		close(turn)
	}()
	for tries := 0; ; tries++ {
		p.give()
		if !p.try() {
			break // it waits, and has the place
		}
		if tries == 1_000_000 {
			t.Fatal("one who comes again is always before one who waits")
		}
		runtime.Gosched()
	}
	<-turn
	p.give()
	if !p.try() {
		t.Error("nobody waits, and there is no place")
	}
}
