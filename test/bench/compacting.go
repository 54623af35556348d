package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

const rowCompacting = "WRITE 16 KiB FILE_SYNC p99.9 with compaction"

const (
	compactingBlock = 16 << 10
	compactingDepth = 4 // calls outstanding on each connection
	// compactingRound is the longest time of a round: what a server does not compact stays on the disk.
	compactingRound = 5 * time.Second
)

// overwritten is a server with a file that is overwritten at random.
type overwritten struct {
	*bench
	srv  *process.Server
	file nfsclient.Handle
	seen *histogram
	size int
}

// compacting measures the slowest writes of a server that compacts beside one that does not, while both overwrite a
// file at random. The one that is not measured is stopped, so that what it does in the background costs the other
// nothing.
func compacting(o *options, dir string) ([]*Result, error) {
	servers := map[*bench]*overwritten{}
	var benches []*bench
	for _, s := range []struct {
		name    string
		percent int
	}{{"compacting", 30}, {"without", 100}} {
		w, err := newOverwritten(o, dir, s.name, s.percent)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		defer func() { w.close(); kill(w.srv) }()
		servers[w.bench] = w
		benches = append(benches, w.bench)
		if err := w.signal(syscall.SIGSTOP); err != nil {
			return nil, err
		}
	}
	during := min(o.tail/time.Duration(o.rounds), compactingRound)
	r := row{name: rowCompacting, goal: goal{ratio: 2, atMost: true}, unit: micros, run: func(b *bench) (sample, error) {
		return servers[b].overwrite(during)
	}}
	samples, err := alternate(&r, benches, o.rounds)
	if err != nil {
		return nil, err
	}
	res := compare(&r, samples)
	ours, other := servers[benches[0]], servers[benches[1]]
	if err := ours.signal(syscall.SIGCONT); err != nil {
		return nil, err
	}
	m, err := ours.srv.Metrics()
	if err != nil {
		return nil, err
	}
	rewritten := m["dittofs_compaction_rewritten_bytes_total"]
	if rewritten == 0 {
		res.Met = nil // it shows nothing
	}
	res.Note = fmt.Sprintf("beside the same without compaction; %d outstanding, a file of %s, %d times %v for each, "+
		"%s rewritten; p50 %v and %v, p99 %v and %v, most %v and %v",
		o.conns*compactingDepth, mib(int64(ours.size)), o.rounds, during, mib(int64(rewritten)), ours.seen.quantile(0.5),
		other.seen.quantile(0.5),
		ours.seen.quantile(0.99), other.seen.quantile(0.99), ours.seen.most.Round(10*time.Microsecond),
		other.seen.most.Round(10*time.Microsecond))
	return []*Result{res}, nil
}

func newOverwritten(o *options, dir, name string, percent int) (*overwritten, error) {
	srv, err := newOurs(o, dir, name, fmt.Sprintf("%scompaction: {garbage_percent: %d}\n", onDisk, percent))
	if err != nil {
		return nil, err
	}
	if _, err := srv.Start(); err != nil {
		return nil, err
	}
	b, err := connect(o, targetOf(name, srv))
	if err != nil {
		return nil, err
	}
	w := &overwritten{bench: b, srv: srv, seen: &histogram{}, size: int(o.size / 2)}
	w.file, err = b.filled("overwritten", w.size)
	return w, err
}

// overwrite writes blocks at random for a time. What counts is the time that one call in a thousand exceeds.
func (w *overwritten) overwrite(during time.Duration) (sample, error) {
	if err := w.signal(syscall.SIGCONT); err != nil {
		return sample{}, err
	}
	end, data := time.Now().Add(during), pattern(compactingBlock)
	var each []*histogram
	s, err := w.drive(compactingDepth, w.each(func(int) load {
		h := &histogram{}
		each = append(each, h)
		return &timedUntil{until: until{end: end, call: func(args *xdr.Encoder) (uint32, int) {
			putWrite(args, w.file, uint64(rand.IntN(w.size/compactingBlock)*compactingBlock), data, nfsclient.FileSync)
			return nfsclient.ProcWrite, 1
		}}, seen: h}
	}))
	seen := &histogram{}
	for _, h := range each {
		seen.add(h)
	}
	w.seen.add(seen)
	s.value = float64(seen.quantile(0.999) / time.Microsecond)
	return s, errors.Join(err, w.signal(syscall.SIGSTOP))
}

func (w *overwritten) signal(sig syscall.Signal) error { return syscall.Kill(w.srv.PID(), sig) }
