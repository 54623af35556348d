package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/verify"
)

// shape makes more data than the cache holds: 6 workers with 4 files of 6 MB.
var shape = verify.Shape{Files: 4, Blocks: 400, BlockSize: 15_000, Most: 20}

const (
	// hang is how long a reply may take: longer than any fault, and than the server itself waits.
	hang = 90 * time.Second
	// again is the pause after a refusal, such as NFS3ERR_JUKEBOX.
	again = 100 * time.Millisecond
	// pace is the pause between a client's calls: the load is bounded.
	pace = 4 * time.Millisecond
)

// clients are the workers, and readers that look over their shoulders.
type clients struct {
	world *world
	all   []*verify.Worker

	stop chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	faults  []error
	refused map[nfsclient.Status]int
}

// connection is one to the server of a number.
type connection struct {
	*nfsclient.Client
	number   int
	verifier [8]byte
}

// newClients makes the workers' files, while nothing is out of order.
func newClients(w *world, n int, seed uint64) (*clients, error) {
	c, err := nfsclient.Dial(w.server.NFS, nfsclient.Options{Timeout: hang})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	root, err := c.Mount("/export")
	if err != nil {
		return nil, err
	}
	cs := &clients{world: w, stop: make(chan struct{})}
	for i := range n {
		worker, err := verify.NewWorker(c, root, i, seed, shape)
		if err != nil {
			return nil, err
		}
		cs.all = append(cs.all, worker)
	}
	return cs, nil
}

// start runs the workers, and a reader for each two of them, until halt.
func (cs *clients) start(seed uint64) {
	for i, w := range cs.all {
		cs.wg.Go(func() { cs.run(w, w.Recover, w.Step) })
		if i%2 == 0 {
			random := rand.New(rand.NewPCG(seed, uint64(1000+i)))
			nothing := func(*nfsclient.Client, [8]byte) error { return nil }
			cs.wg.Go(func() {
				cs.run(w, nothing, func(c *nfsclient.Client, _ [8]byte) error { return w.Reread(c, random) })
			})
		}
	}
}

// halt ends them after what they do now.
func (cs *clients) halt() {
	close(cs.stop)
	cs.wg.Wait()
}

func (cs *clients) stopped() bool {
	select {
	case <-cs.stop:
		return true
	default:
		return false
	}
}

func (cs *clients) report(err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.faults = append(cs.faults, err)
	fmt.Println("chaos:", err)
}

// refuse counts a refusal.
func (cs *clients) refuse(err error) {
	var status nfsclient.Status
	errors.As(err, &status)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.refused == nil {
		cs.refused = map[nfsclient.Status]int{}
	}
	cs.refused[status]++
}

type call func(c *nfsclient.Client, verifier [8]byte) error

// run does steps for ever, each time on a connection to the server that is there; recovered comes first on each of
// them.
func (cs *clients) run(w *verify.Worker, recovered, step call) {
	last := 0
	for !cs.stopped() {
		c, err := cs.connect(w, last)
		if err == nil {
			last = c.number
			if err = cs.until(c, recovered); err == nil {
				for err == nil && !cs.stopped() {
					err = cs.until(c, step)
					time.Sleep(pace)
				}
			}
			_ = c.Close()
		}
		if errors.Is(err, errStopped) {
			return
		}
		if verify.IsFault(err) || errors.Is(err, nfsclient.ErrTimeout) || errors.Is(err, errAway) {
			cs.report(err)
			return
		}
	}
}

var (
	errStopped = errors.New("stopped")
	errAway    = errors.New("the server is away")
)

// until does a call until the server does not refuse it, as a client does with NFS3ERR_JUKEBOX. What a worker does
// after another refusal is another step.
func (cs *clients) until(c *connection, f call) error {
	for {
		err := f(c.Client, c.verifier)
		if !verify.Refused(err) || verify.IsFault(err) {
			return err
		}
		cs.refuse(err)
		if cs.stopped() {
			return errStopped
		}
		time.Sleep(again)
	}
}

// connect returns a connection to a later server than last. A connection that ends for another reason than the end of
// its server is an error.
func (cs *clients) connect(w *verify.Worker, last int) (*connection, error) {
	deadline, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	for {
		number, changed := cs.world.starts.current()
		if number > last {
			if c, err := cs.open(w, number); err == nil || verify.IsFault(err) {
				return c, err
			}
		}
		select {
		case <-changed:
		case <-time.After(again):
		case <-cs.stop:
			return nil, errStopped
		case <-deadline.Done():
			return nil, fmt.Errorf("%w: connection lost, and no other server within %v", errAway, hang)
		}
	}
}

// open connects and asks for the write verifier.
func (cs *clients) open(w *verify.Worker, number int) (*connection, error) {
	c, err := nfsclient.Dial(cs.world.server.NFS, nfsclient.Options{Timeout: hang})
	if err != nil {
		return nil, err
	}
	conn := &connection{Client: c, number: number}
	err = cs.until(conn, func(c *nfsclient.Client, _ [8]byte) error {
		r, err := c.Commit(w.AnyFile(), 0, 0)
		conn.verifier = r.Verifier
		return err
	})
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return conn, nil
}

// verify reads everything, on the server that is there, which was started afresh.
func (cs *clients) verify() {
	var wg sync.WaitGroup
	for _, w := range cs.all {
		wg.Go(func() {
			c, err := cs.open(w, 0)
			if err == nil {
				err = w.Recover(c.Client, c.verifier)
				_ = c.Close()
			}
			if err != nil {
				cs.report(fmt.Errorf("after a fresh start: %w", err))
			}
		})
	}
	wg.Wait()
}

// sums of all workers.
func (cs *clients) sums() (acks, written, verified int64) {
	for _, w := range cs.all {
		acks += w.Acks.Load()
		written += w.Written.Load()
		verified += w.Verified.Load()
	}
	return acks, written, verified
}
