package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	// lateness is the goal for the victim's p99. More is told and fails nothing.
	lateness = time.Second
	// linesPerSecond is what the log may grow by, and freeLines what it may have besides.
	linesPerSecond, freeLines = 100, 200
)

// result is what an attack did.
type result struct {
	Name, Sends       string
	Connections       int   // the most at a time
	Sent              int64 // bytes
	PeakRSS, RSSAfter int64 // bytes
	Unsent            int64 // bytes in the server's sockets at the end
	Victim            latency
	ByKind            map[string]latency
	Statuses          map[string]int // refusals of the victim
	Lost              int            // connections of the victim
	Refused, Closed   int64          // connections of the attackers
	LogLines          int
	Duration, End     time.Duration // of the attack, as long as its last client took; from SIGTERM to the end
	Failures          []string
}

func (r *result) fail(err error) {
	if err != nil {
		r.Failures = append(r.Failures, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

func (r *result) take(v *victim) {
	r.ByKind, r.Victim = v.latencies()
	v.mu.Lock()
	defer v.mu.Unlock()
	r.Statuses, r.Lost = v.statuses, v.lost
	r.fail(errors.Join(v.wrong...))
}

// judge adds what did not hold while the attack went on.
func (r *result) judge() {
	if r.PeakRSS > memoryLimit {
		r.fail(fmt.Errorf("%d MiB of memory: a pod of %d MiB is killed", r.PeakRSS>>20, memoryLimit>>20))
	}
	if n := r.Statuses["status 5"]; n > 0 {
		r.fail(fmt.Errorf("%d calls of the victim got NFS3ERR_IO", n))
	}
	for _, kind := range slices.Sorted(maps.Keys(r.ByKind)) {
		switch l := r.ByKind[kind]; {
		case l.Count == 0:
			r.fail(fmt.Errorf("the victim's %s was never served", kind))
		case l.Max > stall:
			r.fail(fmt.Errorf("the victim's %s took %v", kind, rounded(l.Max)))
		}
	}
	if most := int(r.Duration.Seconds()*linesPerSecond) + freeLines; r.LogLines > most {
		r.fail(fmt.Errorf("%d lines of log in %v, at most %d", r.LogLines, rounded(r.Duration), most))
	}
}

// Verdict is what to say of the attack in a word, or why it failed.
func (r *result) Verdict() string {
	switch _, p99 := r.slowest(); {
	case len(r.Failures) > 0:
		return "FAILED: " + strings.Join(r.Failures, "; ")
	case p99 > lateness:
		return "held, late"
	}
	return "held"
}

// slowest is the kind of call that had the largest p99.
func (r *result) slowest() (worst string, p99 time.Duration) {
	for _, kind := range slices.Sorted(maps.Keys(r.ByKind)) {
		if worst == "" || r.ByKind[kind].P99 > p99 {
			worst, p99 = kind, r.ByKind[kind].P99
		}
	}
	return worst, p99
}

func (r *result) refusals() string {
	var words []string
	for _, s := range slices.Sorted(maps.Keys(r.Statuses)) {
		words = append(words, fmt.Sprintf("%d× %s", r.Statuses[s], s))
	}
	if r.Lost > 0 {
		words = append(words, fmt.Sprintf("%d× connection", r.Lost))
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}

func rounded(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}

// report prints the table, writes the file, and is an error if an attack failed.
func report(w io.Writer, results []*result, o *options) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "attack\tconnections\tsent\tpeak RSS\tafter\tin sockets\tvictim: "+
		"calls\tp50\tp99\tmax\tslowest kind, its p99\trefusals\tattackers: refused\tclosed\tlog lines\tend\tverdict")
	failed := 0
	for _, r := range results {
		if len(r.Failures) > 0 {
			failed++
		}
		kind, p99 := r.slowest()
		fmt.Fprintf(t, "%s\t%d\t%.1f MiB\t%d MiB\t%d MiB\t%d MiB\t%d\t%v\t%v\t%v\t%s\t%s\t%d\t%d\t%d\t%v\t%s\n",
			r.Name, r.Connections, float64(r.Sent)/(1<<20), r.PeakRSS>>20, r.RSSAfter>>20, r.Unsent>>20,
			r.Victim.Count, rounded(r.Victim.P50), rounded(r.Victim.P99), rounded(r.Victim.Max),
			kind+" "+rounded(p99).String(), r.refusals(),
			r.Refused, r.Closed, r.LogLines, rounded(r.End), r.Verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d attacks held, %d failed\n", len(results)-failed, failed)
	if o.json != "" {
		b, err := json.MarshalIndent(results, "", "  ")
		if err == nil {
			err = os.WriteFile(o.json, append(b, '\n'), 0o644)
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d attacks failed", failed, len(results))
	}
	return nil
}

// list says what each attack sends.
func list(w io.Writer, chosen []*attack, s scale) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "attack\tconnections\tsends")
	for _, a := range chosen {
		fmt.Fprintf(t, "%s\t%d\t%s\n", a.name, a.size(s), a.sends)
	}
	return t.Flush()
}
