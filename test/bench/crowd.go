package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

const startAtMost = time.Second

// crowdAndKill lets many clients use a server, looks at its memory, and then kills it while clients write, again and
// again.
func crowdAndKill(o *options, w *world) ([]*Result, error) {
	what := fmt.Sprintf("%s files in %s directories", thousands(w.size), thousands(len(w.dirs)))
	if err := w.crowd(o.clients); err != nil {
		return nil, err
	}
	memory := atMost(rowMemory, rss(w.srv.PID()), memoryAtMost, mib,
		fmt.Sprintf("%s, %s clients; of the goal, %s are caches", what, thousands(o.clients), mib(caches)))
	var starts []float64
	for range o.rounds {
		if err := w.killWhileWriting(); err != nil {
			return nil, err
		}
		took, err := w.srv.Start()
		if err != nil {
			return nil, err
		}
		starts = append(starts, float64(took))
	}
	s := spread(starts)
	show := func(n int64) string { return time.Duration(n).Round(time.Millisecond).String() }
	start := atMost(rowStart, int64(s.Median), int64(startAtMost), show,
		fmt.Sprintf("%s; of %d starts %s to %s", what, o.rounds, show(int64(s.Min)), show(int64(s.Max))))
	return []*Result{memory, start}, nil
}

// crowd connects many clients, each of which makes some calls and stays until all have.
func (w *world) crowd(clients int) error {
	var all []*nfsclient.Client
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	for range clients {
		c, err := nfsclient.Dial(w.t.addr, nfsclient.Options{})
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	errs := make(chan error, len(all))
	for _, c := range all {
		go func() {
			var err error
			for range 10 {
				_, e := c.GetAttr(w.all[rand.IntN(len(w.all))])
				err = errors.Join(err, e)
			}
			errs <- err
		}()
	}
	var err error
	for range all {
		err = errors.Join(err, <-errs)
	}
	return err
}

// killWhileWriting kills the server while clients make and write files, with and without a sync.
func (w *world) killWhileWriting() error {
	w.made++
	var wg sync.WaitGroup
	data := pattern(64 << 10)
	for i := range 8 {
		c, err := nfsclient.Dial(w.t.addr, nfsclient.Options{})
		if err != nil {
			return err
		}
		defer c.Close()
		wg.Go(func() {
			for n := 0; ; n++ {
				f, err := c.Create(w.dirs[0], fmt.Sprintf("load-%d-%d-%d", w.made, i, n), nfsclient.Guarded,
					nfsclient.SetAttr{}, nil)
				if err != nil {
					return // the server is gone
				}
				for at := range 8 {
					if _, err := c.Write(f.Handle, uint64(at*len(data)), data, uint32(n%2*nfsclient.FileSync)); err != nil {
						return
					}
				}
			}
		})
	}
	time.Sleep(w.o.time) // of load
	w.srv.Signal(syscall.SIGKILL)
	wg.Wait()
	return nil
}
