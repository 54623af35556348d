package main

import (
	"fmt"
	"os"
	"time"
)

const rowTail = "GETATTR p99.9 at half load"

const (
	// tailAtMost is the goal.
	tailAtMost = time.Millisecond
	// clockTime is how long the machine alone is looked at.
	clockTime = 5 * time.Second
)

// tail measures how long calls take at half the rate that the server reaches with all connections. Calls are sent when they are
// due, whether the ones before them were answered or not.
func tail(o *options, dir string) ([]*Result, error) {
	fmt.Fprintf(os.Stderr, "bench: %s, for %v\n", rowTail, o.tail)
	srv, err := startOurs(o, dir, "tail")
	if err != nil {
		return nil, err
	}
	defer kill(srv)
	b, err := connect(o, targetOf("dittofs", srv))
	if err != nil {
		return nil, err
	}
	defer b.close()
	if err := b.makeNames(); err != nil {
		return nil, err
	}
	full, err := timed(0, func(b *bench, _ int) call { return getattr(b.files) })(b)
	if err != nil {
		return nil, err
	}
	machine := watchClock(clockTime)
	rate := full.value / 2
	seen, err := b.paced(rate, o.tail)
	if err != nil {
		return nil, err
	}
	worst := seen.quantile(0.999)
	met := worst <= tailAtMost
	return []*Result{{
		Row: rowTail, Goal: "≤ " + tailAtMost.String(), Ours: worst.String(), Met: &met,
		Note: fmt.Sprintf("for %v at %s; p50 %v, p99 %v, most %v; %v", o.tail, calls.rate(float64(seen.n)/o.tail.Seconds()),
			seen.quantile(0.5), seen.quantile(0.99), seen.most.Round(10*time.Microsecond), machine),
	}}, nil
}

// paced sends GETATTRs at a rate, spread over the connections.
func (b *bench) paced(rate float64, during time.Duration) (*histogram, error) {
	type result struct {
		h   *histogram
		err error
	}
	results := make(chan result, len(b.pipes))
	for _, p := range b.pipes {
		go func() {
			h := &histogram{}
			l := &paced{call: getattr(b.files), seen: h}
			results <- result{h, p.Paced(rate/float64(len(b.pipes)), during, l)}
		}()
	}
	all := &histogram{}
	var err error
	for range b.pipes {
		r := <-results
		all.add(r.h)
		if err == nil {
			err = r.err
		}
	}
	return all, err
}

// histogram counts times by the microsecond, up to its last bucket.
type histogram struct {
	buckets [100_000]uint32
	n       int
	most    time.Duration
}

func (h *histogram) record(d time.Duration) {
	h.n++
	h.most = max(h.most, d)
	h.buckets[min(int(d/time.Microsecond), len(h.buckets)-1)]++
}

func (h *histogram) add(other *histogram) {
	h.n += other.n
	h.most = max(h.most, other.most)
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
}

// quantile is the time that a part q of the calls did not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	left := int(q * float64(h.n))
	for i, n := range h.buckets {
		if left -= int(n); left < 0 {
			return time.Duration(i+1) * time.Microsecond
		}
	}
	return h.most
}
