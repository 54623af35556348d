package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// The rows of the rate that all connections have together.
const (
	rowConnGetattr = "rate as connections grow: GETATTR"
	rowConnWrite   = "rate as connections grow: WRITE 4 KiB FILE_SYNC"
)

const (
	// connectionsAtMost bounds how much faster the best number of connections may be than the worst, from connectionsFrom
	// on.
	connectionsAtMost = 1.3
	connectionsFrom   = 10
	// ownFileSize is of each file that connections write to.
	ownFileSize = 1 << 20
	// crowdBuffer is enough for the replies to short calls.
	crowdBuffer = 64 << 10
)

// connections measures our server with few connections and with many, each with the same number of calls outstanding.
func connections(o *options, dir string) ([]*Result, error) {
	srv, err := startOurs(o, dir, "connections")
	if err != nil {
		return nil, err
	}
	defer kill(srv)
	return connected(o, []*target{targetOf("dittofs", srv)}, func(benches []*bench) ([]*Result, error) {
		b := benches[0]
		var results []*Result
		for _, row := range []struct {
			name    string
			prepare func(*bench) error
			call    func(b *bench, conn, conns int) call
		}{
			{rowConnGetattr, (*bench).makeNames, func(b *bench, _, _ int) call { return getattr(b.files) }},
			{rowConnWrite, (*bench).makeOwn, func(b *bench, i, n int) call { return writeOwn(b.write, i, n, ownFileSize) }},
		} {
			if !o.only.MatchString(row.name) {
				continue
			}
			if err := row.prepare(b); err != nil {
				return nil, err
			}
			res, err := b.asConnectionsGrow(row.name, row.call)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", row.name, err)
			}
			results = append(results, res)
		}
		return results, nil
	})
}

// makeOwn makes a file for each connection. Fewer connections have several each, so that all numbers of them write to
// the same files, and differ in nothing else.
func (b *bench) makeOwn() error {
	for i := range b.o.clients {
		h, err := b.filled(fmt.Sprint("own", i), ownFileSize)
		if err != nil {
			return err
		}
		b.write = append(b.write, h)
	}
	return nil
}

// connectionCounts are the numbers of connections to measure, the greatest of which is asked for.
func connectionCounts(most int) []int {
	counts := slices.DeleteFunc([]int{1, 10, 100, 1000}, func(n int) bool { return n >= most })
	return append(counts, most)
}

// asConnectionsGrow makes a call from so many connections, all numbers in every round.
func (b *bench) asConnectionsGrow(name string, call func(b *bench, conn, conns int) call) (*Result, error) {
	counts := connectionCounts(b.o.clients)
	samples := make([][]sample, len(counts)) // by number, then round
	for round := range b.o.rounds {
		for i := range counts {
			i = (i + round) % len(counts)
			s, err := b.fromMany(counts[i], call)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], s)
		}
	}
	return connectionsResult(name, counts, samples), nil
}

// connectionsResult compares the fastest number of connections with the slowest, round by round.
func connectionsResult(name string, counts []int, samples [][]sample) *Result {
	var ratios []float64
	for round := range samples[0] {
		var rates []float64
		for i, n := range counts {
			if n >= connectionsFrom {
				rates = append(rates, samples[i][round].value)
			}
		}
		ratios = append(ratios, slices.Max(rates)/slices.Min(rates))
	}
	var notes []string
	for i, n := range counts {
		f := figures(samples[i])
		notes = append(notes, fmt.Sprintf("%s with %s (CPU %s)", calls.rate(f.Rate.Median), thousands(n),
			calls.cost(f.CPUPerUnit)))
	}
	s := spread(ratios)
	met := s.Median <= connectionsAtMost
	return &Result{Row: name, Goal: fmt.Sprintf("≤ %.1f×", connectionsAtMost), Ours: fmt.Sprintf("%.2f×", s.Median),
		Ratio: &s, Met: &met,
		Note:  fmt.Sprintf("fastest beside slowest from %d on; %s", connectionsFrom, strings.Join(notes, ", ")),
		bound: connectionsAtMost}
}

// clientAddress is that of the i-th client: each is a host of its own, because what connections of one host get is
// bounded.
func clientAddress(i int) string { return fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250) }

// fromMany makes a call from n connections of its own.
func (b *bench) fromMany(n int, call func(b *bench, conn, conns int) call) (sample, error) {
	many := *b
	many.pipes = nil
	defer func() {
		for _, p := range many.pipes {
			_ = p.Close()
		}
	}()
	for i := range n {
		p, err := nfsclient.DialPipeline(b.t.addr, nfsclient.Options{
			Timeout: 2 * time.Minute, Buffer: crowdBuffer, Local: clientAddress(i),
		})
		if err != nil {
			return sample{}, err
		}
		many.pipes = append(many.pipes, p)
	}
	loads := make([]load, n)
	for i := range loads {
		loads[i] = many.until(call(&many, i, n))
	}
	return many.drive(b.o.depth, loads)
}
