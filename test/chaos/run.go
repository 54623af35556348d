package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/test/verify"
)

// progressLimit is how long it may take until the clients go on, once everything is given back.
const progressLimit = 60 * time.Second

// run is the whole of a combination: minutes of faults, a fresh start, and the summary.
func (c combination) run(binary, dir string, seed uint64, length time.Duration) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	w := &world{combination: c, dir: dir}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(binary); err != nil {
		return err
	}
	supervised := make(chan error, 1)
	go func() { supervised <- w.supervise() }()
	if err := errors.Join(w.awaitStart(0), w.healthy()); err != nil {
		return err
	}
	before, err := w.server.Metrics()
	if err != nil {
		return err
	}
	cs, err := newClients(w, *workers, seed)
	if err != nil {
		return err
	}
	watch := w.watch()
	cs.start(seed)
	began := time.Now()
	counts, err := w.storm(cs, rand.New(rand.NewPCG(seed, 0)), began.Add(length))
	cs.halt()
	took := time.Since(began)
	if err == nil {
		err = w.afresh(cs)
	}
	bounds := watch.stop()
	if err == nil {
		err = w.quiescent(before["go_goroutines"])
	}
	if err == nil {
		err = w.fsck(binary)
	}
	w.stopping.Store(true)
	w.end(syscall.SIGKILL)
	return errors.Join(err, <-supervised, bounds.err(), w.starts.crashes(), cs.summary(took, counts, bounds))
}

// storm lets things go wrong, one or several at a time, until the deadline, and counts them. After each the clients
// must go on.
func (w *world) storm(cs *clients, random *rand.Rand, deadline time.Time) (map[string]int, error) {
	counts := map[string]int{}
	all := chosen(w.faults(random), *kinds)
	if len(all) == 0 {
		return counts, fmt.Errorf("no fault of %s is named like %q", w.name, *kinds)
	}
	for time.Now().Before(deadline) && !cs.failed() {
		number, _ := w.starts.current()
		var now []fault
		for range 1 + min(random.IntN(4), random.IntN(4), random.IntN(4)) {
			f := all[random.IntN(len(all))]
			if slices.ContainsFunc(now, func(o fault) bool { return o.kind == f.kind }) {
				continue
			}
			if *verbose {
				fmt.Printf("chaos: %s %s\n", f.kind, f.name)
			}
			now = append(now, f)
			counts[f.kind+" "+f.name]++
			if err := f.begin(); err != nil {
				return counts, fmt.Errorf("%s %s: %w", f.kind, f.name, err)
			}
			time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
		}
		time.Sleep(time.Duration(200+random.IntN(2500)) * time.Millisecond)
		killed := false
		for _, f := range now {
			killed = killed || f.kind == "server"
			if f.end == nil {
				continue
			}
			if err := f.end(); err != nil {
				return counts, fmt.Errorf("end of %s %s: %w", f.kind, f.name, err)
			}
		}
		if killed {
			if err := w.awaitStart(number); err != nil {
				return counts, err
			}
		}
		if err := errors.Join(w.healthy(), cs.goOn()); err != nil {
			return counts, err
		}
		time.Sleep(time.Duration(random.IntN(800)) * time.Millisecond)
	}
	return counts, nil
}

// goOn waits until every worker has had something acknowledged.
func (cs *clients) goOn() error {
	before := make([]int64, len(cs.all))
	for i, w := range cs.all {
		before[i] = w.Acks.Load()
	}
	deadline := time.Now().Add(progressLimit)
	for i, w := range cs.all {
		for w.Acks.Load() == before[i] {
			if cs.failed() {
				return nil // that is told already
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("worker %d does not go on within %v after everything was given back; refused so far: %v; "+
					"the server's log ends:\n%s",
					i, progressLimit, cs.refusals(), cs.world.server.Log())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// afresh kills the server, and verifies everything on another; with durability
// "remote" without the cache.
func (w *world) afresh(cs *clients) error {
	number, _ := w.starts.current()
	if w.remote {
		w.lose()
	} else {
		w.end(syscall.SIGKILL)
	}
	if err := errors.Join(w.awaitStart(number), w.healthy()); err != nil {
		return err
	}
	cs.verify()
	return nil
}

func (cs *clients) failed() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.faults) > 0
}

func (cs *clients) refusals() string {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return list(cs.refused)
}

// summary prints the last line of a combination, and is an error if anything was lost or wrong.
func (cs *clients) summary(took time.Duration, counts map[string]int, b *bounds) error {
	acks, written, verified := cs.sums()
	kinds := map[verify.Kind]int{}
	for _, err := range cs.faults {
		var f *verify.Fault
		if errors.As(err, &f) {
			kinds[f.Kind]++
		} else {
			kinds["hung"]++
		}
	}
	starts := &cs.world.starts
	fmt.Printf("chaos: %s: %.1f minutes; faults: %s; %d starts, %d after an end by itself, the slowest %.1f s; "+
		"cache at most %.1f of %.1f MB, memory at most %.0f MB; refused: %s; %d operations, %.1f MB written as stable; "+
		"%.1f MB verified; lost %d, wrong %d, hung %d\n",
		cs.world.name, took.Minutes(), list(counts), starts.count, len(starts.byItself), starts.slowest.Seconds(),
		float64(b.cache)/1e6, float64(cacheSize)/1e6, float64(b.memory)/1e6, cs.refusals(),
		acks, float64(written)/1e6, float64(verified)/1e6, kinds[verify.Lost], kinds[verify.Wrong], kinds["hung"])
	return errors.Join(cs.faults...)
}

// list prints counts in the order of their names.
func list[K ~string | ~uint32](counts map[K]int) string {
	if len(counts) == 0 {
		return "none"
	}
	var words []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%v %d", k, counts[k]))
	}
	return strings.Join(words, ", ")
}
