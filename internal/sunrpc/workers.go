package sunrpc

import (
	"sync"
	"time"
)

// maxIdle bounds the goroutines that wait for another call, of all connections together.
const maxIdle = 256

// workers are the goroutines of calls. One that has served a call stays for another: a new one would have to grow its
// stack again, which costs more than a small call. The one that became idle last is taken first, and all end with the
// last connection.
type workers struct {
	mu    sync.Mutex
	conns int
	idle  []chan job // each with room for the one job that its goroutine waits for
}

type job struct {
	c       *conn
	call    *Call
	arrived time.Time
}

// connections counts those that can bring jobs.
func (w *workers) connections(delta int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns += delta; w.conns > 0 {
		return
	}
	for _, jobs := range w.idle {
		close(jobs)
	}
	w.idle = nil
}

// do serves a call on a goroutine, and does not wait for it.
func (w *workers) do(j job) {
	w.mu.Lock()
	n := len(w.idle)
	if n == 0 {
		w.mu.Unlock()
		go w.run(j)
		return
	}
	jobs := w.idle[n-1]
	w.idle = w.idle[:n-1]
	w.mu.Unlock()
	jobs <- j
}

func (w *workers) run(j job) {
	jobs := make(chan job, 1)
	for ok := true; ok; j, ok = <-jobs {
		j.c.serveCall(j.call, j.arrived)
		j = job{} // an idle worker keeps no connection
		if !w.rest(jobs) {
			return
		}
	}
}

// rest makes a worker idle, if another one is wanted.
func (w *workers) rest(jobs chan job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == 0 || len(w.idle) == maxIdle {
		return false
	}
	w.idle = append(w.idle, jobs)
	return true
}
