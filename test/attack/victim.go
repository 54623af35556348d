package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	victimAddress = "127.0.0.2"
	// stall is how long a call of the victim may take: what a user takes for a server that hangs.
	stall = 10 * time.Second
	// refusedPause is what a client waits before it repeats a call that was answered with NFS3ERR_JUKEBOX, or that it
	// could not send.
	refusedPause = 50 * time.Millisecond
)

var errWrongBytes = errors.New("READ returned other bytes than were written")

// victim is a client that goes on with its work: one connection for each kind of call, so that none waits for another
// kind.
type victim struct {
	server *target
	files  *files
	ops    []op

	mu       sync.Mutex
	times    map[string][]time.Duration // from the first attempt to the reply, by kind
	statuses map[string]int             // refusals, by status
	lost     int                        // connections
	wrong    []error
}

// op is a kind of call. do makes one call, the nth.
type op struct {
	kind  string
	pause time.Duration
	// fresh makes a connection for each call. None is made if do does not use it.
	fresh, alone bool
	do           func(v *victim, c *nfsclient.Client, n int) error
}

var victimOps = []op{
	{kind: "connect+MNT", pause: 100 * time.Millisecond, fresh: true, do: (*victim).mount},
	{kind: "GETATTR", pause: 5 * time.Millisecond, do: (*victim).getattr},
	{kind: "READ 64K", pause: 10 * time.Millisecond, do: (*victim).read},
	{kind: "CREATE", pause: 10 * time.Millisecond, do: (*victim).create},
	{kind: "WRITE 4K", pause: 10 * time.Millisecond, do: (*victim).writeSmall},
	{kind: "WRITE 512K", pause: 50 * time.Millisecond, do: (*victim).writeLarge},
	{kind: "/healthz", pause: 100 * time.Millisecond, alone: true, do: (*victim).healthz},
}

// rolls makes the server begin a segment and read old ones again and again: it opens files.
var rolls = []op{
	{kind: "WRITE 1M", pause: 20 * time.Millisecond, do: func(v *victim, c *nfsclient.Client, n int) error {
		_, err := c.Write(v.files.rolled, uint64(n%64)<<20, make([]byte, 1<<20), nfsclient.Unstable)
		return err
	}},
	{kind: "READ 1M", pause: 20 * time.Millisecond, do: func(v *victim, c *nfsclient.Client, n int) error {
		_, err := c.Read(v.files.rolled, uint64(n*7%64)<<20, 1<<20)
		return err
	}},
}

func newVictim(s *target, f *files, more []op) *victim {
	return &victim{
		server: s, files: f, ops: slices.Concat(victimOps, more), times: map[string][]time.Duration{},
		statuses: map[string]int{},
	}
}

// work makes calls until ctx ends, and finishes those that it is at.
func (v *victim) work(ctx context.Context) {
	var wg sync.WaitGroup
	for _, o := range v.ops {
		wg.Go(func() { v.repeat(ctx, o) })
	}
	wg.Wait()
}

func (v *victim) repeat(ctx context.Context, o op) {
	var c *nfsclient.Client
	for n := 0; ctx.Err() == nil && !v.server.ended(); n++ {
		began := time.Now()
		for {
			err := v.attempt(&c, o, n)
			if err == nil || time.Since(began) > stall || v.server.ended() {
				break
			}
			sleep(context.Background(), refusedPause)
		}
		v.note(o.kind, time.Since(began))
		if o.fresh && c != nil {
			_ = c.Close()
			c = nil
		}
		sleep(ctx, o.pause)
	}
	if c != nil {
		_ = c.Close()
	}
}

// attempt makes a call, on a new connection if there is none, and counts what came instead of success.
func (v *victim) attempt(c **nfsclient.Client, o op, n int) (err error) {
	if *c == nil && !o.alone {
		*c, err = nfsclient.Dial(v.server.NFS, nfsclient.Options{Local: victimAddress, Timeout: stall + time.Second})
	}
	if err == nil {
		err = o.do(v, *c, n)
	}
	var status nfsclient.Status
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		v.mu.Lock()
		v.statuses[status.Error()]++
		v.mu.Unlock()
		return err
	}
	v.mu.Lock()
	if errors.Is(err, errWrongBytes) {
		v.wrong = append(v.wrong, err)
	} else {
		v.lost++
	}
	v.mu.Unlock()
	if *c != nil {
		_ = (*c).Close()
		*c = nil
	}
	return err
}

func (v *victim) note(kind string, took time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.times[kind] = append(v.times[kind], took)
}

func (v *victim) mount(c *nfsclient.Client, _ int) error {
	_, err := c.Mount("/export")
	return err
}

func (v *victim) getattr(c *nfsclient.Client, _ int) error {
	_, err := c.GetAttr(v.files.root)
	return err
}

func (v *victim) read(c *nfsclient.Client, n int) error {
	off := uint64(n%(bigSize/readSize)) * readSize
	r, err := c.Read(v.files.big, off, readSize)
	if err == nil && !bytes.Equal(r.Data, content(off, readSize)) {
		return errWrongBytes
	}
	return err
}

func (v *victim) create(c *nfsclient.Client, n int) error {
	name := fmt.Sprintf("new%d", n)
	if _, err := c.Create(v.files.own, name, nfsclient.Unchecked, nfsclient.SetAttr{}, nil); err != nil {
		return err
	}
	if n > 0 { // the directory stays small
		_, err := c.Remove(v.files.own, fmt.Sprintf("new%d", n-1))
		if errors.Is(err, nfsclient.ErrNoEnt) { // the attempt before has done it
			return nil
		}
		return err
	}
	return nil
}

func (v *victim) writeSmall(c *nfsclient.Client, n int) error { return v.write(c, n, 4<<10) }
func (v *victim) writeLarge(c *nfsclient.Client, n int) error { return v.write(c, n, 512<<10) }

func (v *victim) write(c *nfsclient.Client, n, size int) error {
	off := uint64(n%8) * uint64(size)
	_, err := c.Write(v.files.written, off, content(off, size), nfsclient.FileSync)
	return err
}

// healthz is what the kubelet asks before it restarts a pod.
func (v *victim) healthz(_ *nfsclient.Client, _ int) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(victimAddress)}}
	client := http.Client{
		Timeout: stall + time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
	}
	r, err := client.Get("http://" + v.server.Admin + "/healthz")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz: %s", r.Status)
	}
	return nil
}

// latency is what one kind of calls took, or all kinds.
type latency struct {
	Count         int
	P50, P99, Max time.Duration
}

func summarize(times []time.Duration) latency {
	if len(times) == 0 {
		return latency{}
	}
	slices.Sort(times)
	return latency{len(times), times[len(times)/2], times[len(times)*99/100], times[len(times)-1]}
}

// latencies are those of each kind, and of all.
func (v *victim) latencies() (byKind map[string]latency, all latency) {
	v.mu.Lock()
	defer v.mu.Unlock()
	byKind = map[string]latency{}
	var every []time.Duration
	for _, o := range v.ops {
		byKind[o.kind] = summarize(v.times[o.kind])
		every = append(every, v.times[o.kind]...)
	}
	return byKind, summarize(every)
}
