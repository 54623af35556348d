package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// pauses is what the machine takes from threads that do nothing but read the clock, one for each processor: how long it
// takes at most before the server does anything.
type pauses struct {
	during     time.Duration // of all threads
	long, lost time.Duration // the longest, and all above shortPause
	many       int           // above longPause
}

const (
	shortPause = 100 * time.Microsecond
	longPause  = time.Millisecond
)

func watchClock(during time.Duration) pauses {
	var mu sync.Mutex
	var all pauses
	var threads sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		threads.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			p := readClock(during)
			mu.Lock()
			defer mu.Unlock()
			all.during += p.during
			all.long, all.lost, all.many = max(all.long, p.long), all.lost+p.lost, all.many+p.many
		})
	}
	threads.Wait()
	return all
}

func readClock(during time.Duration) (p pauses) {
	begin := time.Now()
	for last := begin; p.during < during; {
		now := time.Now()
		p.note(now.Sub(last))
		last, p.during = now, now.Sub(begin)
	}
	return p
}

func (p *pauses) note(d time.Duration) {
	if d > shortPause {
		p.lost += d
		p.long = max(p.long, d)
	}
	if d > longPause {
		p.many++
	}
}

func (p pauses) String() string {
	return fmt.Sprintf("before it, threads that did nothing but read the clock were paused for %.2f%% of the time, "+
		"%.1f times a second for more than %v, for %v at most",
		100*p.lost.Seconds()/p.during.Seconds(), float64(p.many)/p.during.Seconds(), longPause,
		p.long.Round(10*time.Microsecond))
}
