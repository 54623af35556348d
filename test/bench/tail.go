package main

import (
	"fmt"
	"runtime"
	"time"
)

// The rows of the slowest calls, at a rate that the peer bears easily.
const (
	rowTailGetattr = "GETATTR p99.9 at half of the peer's rate"
	rowTailWrite   = "WRITE 4 KiB FILE_SYNC p99.9 at half of the peer's rate"
)

// clockTime is how long the machine alone is looked at.
const clockTime = 5 * time.Second

// tailRow is a call that is made at half of the rate that the last server reaches with depth calls outstanding on each
// connection.
type tailRow struct {
	name    string
	prepare func(*bench) error
	depth   int
	call    func(b *bench, conn int) call
}

var tailRows = []tailRow{
	{rowTailGetattr, (*bench).makeNames, 0, func(b *bench, _ int) call { return getattr(b.files) }},
	{rowTailWrite, (*bench).makeWrite, 64, func(b *bench, i int) call { return write(b.write[i], fileSize/4) }},
}

// tails measures how long calls take at most that are sent when they are due, whether those before them were answered
// or not. Both servers get the same rate: half of the peer's greatest, or without a peer half of our own.
func tails(o *options, dir string) ([]*Result, error) {
	return withPeer(o, dir, func(benches []*bench) ([]*Result, error) {
		var results []*Result
		for _, t := range tailRows {
			if !o.only.MatchString(t.name) {
				continue
			}
			res, err := t.measure(o, benches)
			if err != nil {
				return nil, err
			}
			results = append(results, res)
		}
		return results, nil
	})
}

func (t *tailRow) measure(o *options, benches []*bench) (*Result, error) {
	for _, b := range benches {
		if err := t.prepare(b); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", b.t.name, t.name, err)
		}
	}
	rate, err := t.greatest(benches[len(benches)-1])
	if err != nil {
		return nil, err
	}
	machine := watchClock(clockTime)
	seen := map[*bench]*histogram{}
	for _, b := range benches {
		seen[b] = &histogram{}
	}
	during := o.tail / time.Duration(o.rounds)
	r := row{name: t.name, goal: goal{ratio: 0.5, atMost: true}, unit: micros, run: func(b *bench) (sample, error) {
		s, h, err := b.paced(rate/2, during, func(i int) call { return t.call(b, i) })
		seen[b].add(h)
		return s, err
	}}
	samples, err := alternate(&r, benches, o.rounds)
	if err != nil {
		return nil, err
	}
	res := compare(&r, samples)
	res.Note = fmt.Sprintf("%s, %d times %v for each; in all of them", calls.rate(rate/2), o.rounds, during)
	for _, b := range benches {
		res.Note += fmt.Sprintf(" %s p50 %v, p99 %v, p99.9 %v, most %v;", b.t.name, seen[b].quantile(0.5),
			seen[b].quantile(0.99),
			seen[b].quantile(0.999), seen[b].most.Round(10*time.Microsecond))
	}
	res.Note += " " + machine.String()
	return res, nil
}

// greatest is the best of the rounds.
func (t *tailRow) greatest(b *bench) (rate float64, err error) {
	for range b.o.rounds {
		s, err := timed(t.depth, t.call)(b)
		if err != nil {
			return 0, fmt.Errorf("%s: %s: %w", b.t.name, t.name, err)
		}
		rate = max(rate, s.value)
	}
	return rate, nil
}

// paced makes calls at a rate, spread over the connections. What counts is the time that one in a thousand exceeds.
func (b *bench) paced(rate float64, during time.Duration, of func(conn int) call) (sample, *histogram, error) {
	// each waits in the kernel, on a thread of its own
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + len(b.pipes)))
	type result struct {
		h   *histogram
		err error
	}
	results := make(chan result, len(b.pipes))
	before, start := cpuSeconds(b.t.pid), time.Now()
	for i, p := range b.pipes {
		go func() {
			h := &histogram{}
			results <- result{h, p.Paced(rate/float64(len(b.pipes)), during, &paced{call: of(i), seen: h})}
		}()
	}
	seen := &histogram{}
	var err error
	for range b.pipes {
		r := <-results
		seen.add(r.h)
		if err == nil {
			err = r.err
		}
	}
	s := sample{units: float64(seen.n), took: time.Since(start), cpu: cpuSeconds(b.t.pid) - before, rss: rss(b.t.pid)}
	s.value = float64(seen.quantile(0.999) / time.Microsecond)
	if seen.n > 0 {
		s.cost = s.cpu / s.units
	}
	return s, seen, err
}

// histogram counts times by the microsecond, up to a tenth of a second, and by the millisecond above.
type histogram struct {
	fast [histogramFast / time.Microsecond]uint32
	slow [histogramSlow / time.Millisecond]uint32 // the last one has all that are slower
	n    int
	most time.Duration
}

const (
	histogramFast = 100 * time.Millisecond
	histogramSlow = 10 * time.Second
)

func (h *histogram) record(d time.Duration) {
	h.n++
	h.most = max(h.most, d)
	if d < histogramFast {
		h.fast[max(d, 0)/time.Microsecond]++
	} else {
		h.slow[min(int(d/time.Millisecond), len(h.slow)-1)]++
	}
}

func (h *histogram) add(other *histogram) {
	h.n += other.n
	h.most = max(h.most, other.most)
	for i, n := range other.fast {
		h.fast[i] += n
	}
	for i, n := range other.slow {
		h.slow[i] += n
	}
}

// quantile is the time that a part q of the calls did not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	left := int(q * float64(h.n))
	for i, n := range h.fast {
		if left -= int(n); left < 0 {
			return time.Duration(i+1) * time.Microsecond
		}
	}
	for i, n := range h.slow[:len(h.slow)-1] {
		if left -= int(n); left < 0 {
			return min(time.Duration(i+1)*time.Millisecond, h.most)
		}
	}
	return h.most
}
