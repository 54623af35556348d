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
				p.free()
			}
		})
	}
	done.Wait() // for ever if a wake-up is lost
	if over.Load() > 0 {
		t.Errorf("more than %d had a place %d times", most, over.Load())
	}
	if p.taken.Load() != 0 || p.waiting.Load() != 0 {
		t.Errorf("%d taken and %d waiting at the end", p.taken.Load(), p.waiting.Load())
	}
}

// Who gives a place back and comes again at once does not come before one who waits.
func TestPlacesAreGivenInTurn(t *testing.T) {
	p := newPlaces(1)
	p.take()
	first, second := p.enqueue(), p.enqueue()
	if p.try() {
		t.Error("a place that is taken was given")
	}
	p.free()
	<-first
	if p.try() {
		t.Error("one who came later was before one who waits")
	}
	select {
	case <-second:
		t.Error("two have the one place")
	default:
	}
	p.free()
	<-second
	p.free()
	if !p.try() || p.waiting.Load() != 0 {
		t.Error("nobody waits, and there is no place")
	}
}
