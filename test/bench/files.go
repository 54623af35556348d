package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

const (
	rowIdle   = "memory, idle"
	rowFlat   = "time per operation as files grow"
	rowMemory = "memory with many files and clients"
	rowStart  = "start to serving after kill -9"
)

// The goals.
const (
	idleAtMost   = 40 << 20
	memoryAtMost = 256<<20 + caches
	caches       = 64<<20 + 256<<20 // that the standard configuration has: Pebble's and metadata.cache
	flatAtMost   = 1.3
)

// world is a server with so many files.
type world struct {
	bench
	srv  *process.Server
	size int
	dirs []nfsclient.Handle // file n is nameOf(n/len(dirs)) in dirs[n%len(dirs)]
	all  []nfsclient.Handle // all files, in random order, which is also that of their bytes in memory
}

// layout is how files are spread over directories.
type layout struct {
	short, name string
	dirs        func(files int) int
}

var layouts = []layout{
	{"one", "one directory", func(int) int { return 1 }},
	{"many", "directories of 1,000", func(files int) int { return max(files/1000, 1) }},
}

// manyFiles measures servers with few files and with many.
func manyFiles(o *options, dir string) ([]*Result, error) {
	var results []*Result
	layouts, counts := layouts, sizes(o.files)
	if !o.only.MatchString(rowFlat) { // the largest server is enough
		layouts, counts = layouts[1:], counts[len(counts)-1:]
	}
	for i, l := range layouts {
		var worlds []*world
		defer func() {
			for _, w := range worlds {
				w.close()
				kill(w.srv)
			}
		}()
		for _, size := range counts {
			w, idle, err := newWorld(o, dir, l, size)
			if err != nil {
				return nil, err
			}
			worlds = append(worlds, w)
			if i == 0 && size == counts[0] {
				results = append(results, atMost(rowIdle, idle, idleAtMost, mib, "after the start, without files"))
			}
		}
		if len(counts) > 1 {
			flat, err := flatness(o, l, worlds)
			if err != nil {
				return nil, err
			}
			results = append(results, flat...)
		}
		if i == len(layouts)-1 {
			last, err := crowdAndKill(o, worlds[len(worlds)-1])
			if err != nil {
				return nil, err
			}
			results = append(results, last...)
		}
	}
	return results, nil
}

// sizes are the numbers of files to measure, the greatest of which is asked for.
func sizes(most int) []int {
	var out []int
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		if n < most {
			out = append(out, n)
		}
	}
	return append(out, most)
}

func newWorld(o *options, dir string, l layout, size int) (*world, int64, error) {
	fmt.Fprintf(os.Stderr, "bench: a server with %s files in %s\n", thousands(size), l.name)
	srv, err := startOurs(o, dir, fmt.Sprintf("%s-%d", l.short, size))
	if err != nil {
		return nil, 0, err
	}
	idle := rss(srv.PID())
	b, err := connect(o, targetOf("dittofs", srv))
	if err != nil {
		return nil, 0, err
	}
	w := &world{bench: *b, srv: srv, size: size}
	for range l.dirs(size) {
		d, err := w.newDir()
		if err != nil {
			return nil, 0, err
		}
		w.dirs = append(w.dirs, d)
	}
	handles, err := w.makeFiles(w.dirs, size/len(w.dirs), maxDepth/4)
	w.all = shuffled(handles)
	return w, idle, err
}

// shuffled puts handles into a random order, in which their bytes lie one behind the other: what a client that goes
// through them costs does not depend on how many there are. Those of a million at random places cost it two cache
// misses each, which is more than the rest of a call, and the client's processor is the server's.
func shuffled(handles []nfsclient.Handle) []nfsclient.Handle {
	rand.Shuffle(len(handles), func(i, j int) { handles[i], handles[j] = handles[j], handles[i] })
	all := slices.Concat(handles...)
	for i, h := range handles {
		handles[i], all = all[:len(h):len(h)], all[len(h):]
	}
	return handles
}

// atMost is the result of a row that has a limit and no peer.
func atMost(row string, v, limit int64, show func(int64) string, note string) *Result {
	met := v <= limit
	return &Result{Row: row, Goal: "≤ " + show(limit), Ours: show(v), Met: &met, Note: note}
}

// flatness measures operations in all worlds by turns.
func flatness(o *options, l layout, worlds []*world) ([]*Result, error) {
	operations := []struct {
		name string
		run  func(*world) (sample, error)
	}{{"GETATTR", (*world).getattrs}, {"LOOKUP", (*world).lookups}, {"CREATE and REMOVE", (*world).createsAndRemoves}}
	var results []*Result
	for _, op := range operations {
		times := make([][]float64, len(worlds)) // by world, then round: seconds for an operation
		for round := range o.rounds {
			for i := range worlds {
				i = (i + round) % len(worlds)
				s, err := op.run(worlds[i])
				if err != nil {
					return nil, fmt.Errorf("%s, %d files in %s: %w", op.name, worlds[i].size, l.name, err)
				}
				times[i] = append(times[i], 1/s.value)
			}
		}
		results = append(results, flatResult(op.name, l, worlds, times))
	}
	return results, nil
}

// flatResult compares with the world that has the fewest files, round by round; the one that differs most counts.
func flatResult(op string, l layout, worlds []*world, times [][]float64) *Result {
	res := &Result{Row: rowFlat + ": " + op + ", " + l.name, Goal: fmt.Sprintf("≤ %.1f×", flatAtMost)}
	worst := Spread{Median: 0}
	for i, w := range worlds {
		var ratios []float64
		for round := range times[i] {
			ratios = append(ratios, times[i][round]/times[0][round])
		}
		if s := spread(ratios); s.Median > worst.Median && i > 0 {
			worst = s
		}
		if res.Note += fmt.Sprintf("%.1f µs with %s", median(times[i])*1e6, thousands(w.size)); i < len(worlds)-1 {
			res.Note += ", "
		}
	}
	res.Ours = fmt.Sprintf("%.2f×", worst.Median)
	res.Ratio, res.bound = &worst, flatAtMost
	met := worst.Median <= flatAtMost
	res.Met = &met
	return res
}

func (w *world) getattrs() (sample, error) {
	from := rand.IntN(len(w.all))
	return w.drive(w.o.depth, w.each(func(i int) load { // far apart: none finds what another has just brought to a cache
		return w.until(getattrInOrder(w.all, from+i*len(w.all)/w.o.conns))
	}))
}

func (w *world) lookups() (sample, error) {
	return w.drive(w.o.depth, w.each(func(int) load { return w.until(lookupAny(w.dirs, w.size/len(w.dirs))) }))
}

// createsAndRemoves makes new files among the others for the time of a round, and removes them.
func (w *world) createsAndRemoves() (sample, error) {
	w.made++
	loads := w.each(func(i int) load { return w.until(createIn(w.dirs, fmt.Sprintf("new-%d-%d-", w.made, i))) })
	made, err := w.drive(w.o.depth, loads)
	if err != nil {
		return sample{}, err
	}
	gone, err := w.drive(w.o.depth, w.each(func(i int) load {
		return &removes{dirs: w.dirs, prefix: fmt.Sprintf("new-%d-%d-", w.made, i), n: loads[i].count()}
	}))
	made.value = (made.units + gone.units) / (made.took + gone.took).Seconds()
	return made, err
}
