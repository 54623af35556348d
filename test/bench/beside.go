package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
)

// beside measures our server and the peer, if there is one, in alternating rounds. dir is for our stores.
func beside(o *options, dir string) ([]*Result, error) {
	return withPeer(o, dir, func(benches []*bench) ([]*Result, error) { return inTurns(o, rows, benches) })
}

// withPeer starts a server of ours and connects to it and to the peer, if there is one.
func withPeer(o *options, dir string, measure func([]*bench) ([]*Result, error)) ([]*Result, error) {
	home, err := os.MkdirTemp(dir, "beside-")
	if err != nil {
		return nil, err
	}
	srv, err := startOurs(o, home, "ours")
	if err != nil {
		return nil, err
	}
	defer kill(srv)
	targets := []*target{targetOf("dittofs", srv)}
	if o.peer != nil {
		targets = append(targets, o.peer)
	}
	return connected(o, targets, measure)
}

// connected connects to the targets for as long as they are measured.
func connected(o *options, targets []*target, measure func([]*bench) ([]*Result, error)) ([]*Result, error) {
	var benches []*bench
	for _, t := range targets {
		b, err := connect(o, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		defer b.close()
		benches = append(benches, b)
	}
	return measure(benches)
}

// inTurns measures those of the rows that are wanted at one server, or at two.
func inTurns(o *options, rows []row, benches []*bench) ([]*Result, error) {
	var results []*Result
	for _, r := range rows {
		if !o.only.MatchString(r.name) {
			continue
		}
		samples, err := alternate(&r, benches, o.rounds)
		if err != nil {
			return nil, err
		}
		results = append(results, compare(&r, samples))
	}
	return results, nil
}

// alternate measures a row in rounds: every server in each, the first one last in the next. The samples are by server,
// then by round.
func alternate(r *row, benches []*bench, rounds int) ([][]sample, error) {
	fmt.Fprintf(os.Stderr, "bench: %s\n", r.name)
	samples := make([][]sample, len(benches))
	for _, b := range benches {
		if r.prepare != nil {
			if err := r.prepare(b); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", b.t.name, r.name, err)
			}
		}
	}
	for round := range rounds {
		for i := range benches {
			i = (i + round) % len(benches)
			s, err := r.run(benches[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %s, round %d: %w", benches[i].t.name, r.name, round+1, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	return samples, nil
}

// Spread is the median of the rounds, and the least and the greatest of them.
type Spread struct {
	Median, Min, Max float64
}

func spread(v []float64) Spread { return Spread{median(v), slices.Min(v), slices.Max(v)} }

// Figures are what a row measured at one server.
type Figures struct {
	Rate       Spread  // units a second, or microseconds
	CPUSeconds float64 // of the server, in all rounds
	CPUPerUnit float64 // seconds, the median
	RSS        int64   // bytes, after the last round
}

// Result is a line of the report.
type Result struct {
	Row   string
	Goal  string
	Ours  string  // the figure, to be read
	Peer  string  `json:",omitempty"`
	Ratio *Spread `json:",omitempty"`
	Met   *bool   `json:",omitempty"` // nil: not known, for want of a peer
	Note  string  `json:",omitempty"`

	OursFigures *Figures `json:",omitempty"`
	PeerFigures *Figures `json:",omitempty"`

	bound float64 // of the ratio
}

// compare makes a result of the samples of one server, or of two.
func compare(r *row, samples [][]sample) *Result {
	res := &Result{Row: r.name, Goal: r.goal.text(), OursFigures: figures(samples[0]), bound: r.goal.ratio}
	res.Ours = r.unit.rate(res.OursFigures.Rate.Median)
	if res.OursFigures.CPUPerUnit > 0 {
		res.Note = "CPU " + r.unit.cost(res.OursFigures.CPUPerUnit)
	}
	if len(samples) == 1 {
		return res
	}
	res.PeerFigures = figures(samples[1])
	res.Peer = r.unit.rate(res.PeerFigures.Rate.Median)
	var ratios []float64
	for i := range samples[0] {
		ratio := samples[0][i].value / samples[1][i].value
		if r.goal.slower {
			ratio = 1 / ratio
		}
		ratios = append(ratios, ratio)
	}
	s := spread(ratios)
	met := s.Median >= r.goal.ratio
	if r.goal.atMost || r.goal.slower {
		met = s.Median <= r.goal.ratio
	}
	if res.PeerFigures.CPUPerUnit > 0 {
		if res.Note == "" {
			res.Note = "CPU too little to see"
		}
		res.Note += ", peer " + r.unit.cost(res.PeerFigures.CPUPerUnit)
		met = met && (!r.goal.cost || res.OursFigures.CPUPerUnit <= res.PeerFigures.CPUPerUnit)
	}
	res.Ratio, res.Met = &s, &met
	return res
}

func (g goal) text() string {
	switch {
	case g.slower:
		return fmt.Sprintf("≤ %.1f× slower", g.ratio)
	case g.atMost:
		return fmt.Sprintf("≤ %.1f×", g.ratio)
	case g.cost:
		return fmt.Sprintf("≥ %.1f×, no more CPU", g.ratio)
	}
	return fmt.Sprintf("≥ %.1f×", g.ratio)
}

func figures(samples []sample) *Figures {
	f := &Figures{RSS: samples[len(samples)-1].rss}
	var values, costs []float64
	for _, s := range samples {
		values, costs = append(values, s.value), append(costs, s.cost)
		f.CPUSeconds += s.cpu
	}
	f.Rate, f.CPUPerUnit = spread(values), median(costs)
	return f
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.SortFunc(v, cmp.Compare[float64])
	return v[len(v)/2]
}
