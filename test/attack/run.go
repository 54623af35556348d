package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// attack is one way to be hostile.
type attack struct {
	name  string
	sends string // what it sends
	// conns is how many connections it uses, by scale; 0: it is not made at that scale.
	conns [2]int
	// server is how the server is started; nil: as usual.
	server func() (variant, error)
	// run attacks until ctx ends. An error is something that did not hold.
	run func(ctx context.Context, a *arena) error
	// victim is what the victim does besides its usual work.
	victim  []op
	prepare func(*arena) error // before the victim works; nil for none
	// stays: the attackers stay while the server is asked to end.
	stays bool
}

// arena is what an attack is made with.
type arena struct {
	server *target
	files  *files
	crowd  *crowd
	conns  int
}

// each keeps all connections of the attack to NFS busy with f (see crowd.each).
func (a *arena) each(ctx context.Context, from origin, f func(ctx context.Context, conn *net.TCPConn) error) {
	a.crowd.each(ctx, a.server.NFS, a.conns, from, f)
}

// choose returns the attacks to make.
func choose(o *options) (chosen []*attack) {
	for _, a := range attacks() {
		if o.only == nil && a.conns[o.scale] > 0 || o.only != nil && o.only.MatchString(a.name) {
			chosen = append(chosen, a)
		}
	}
	return chosen
}

// size is how many connections the attack uses.
func (a *attack) size(s scale) int {
	n := a.conns[s]
	if n == 0 {
		n = a.conns[full]
	}
	return affordable(n)
}

// carryOut makes one attack on a server of its own. An error means that it could not be made.
func carryOut(a *attack, o *options, dir string) (r *result, err error) {
	var how variant
	if a.server != nil {
		if how, err = a.server(); err != nil {
			return nil, err
		}
	}
	if how.end != nil {
		defer how.end()
	}
	server, err := start(o.binary, dir, how)
	if err != nil {
		return nil, err
	}
	defer func() {
		server.Signal(os.Kill)
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	f, err := prepare(server.NFS)
	if err != nil {
		return nil, fmt.Errorf("preparation: %w", err)
	}
	before, err := server.Metrics()
	if err != nil {
		return nil, err
	}
	if how.begin != nil {
		how.begin()
	}
	r = &result{Name: a.name, Sends: a.sends}
	at := &arena{server: server, files: f, crowd: newCrowd(), conns: a.size(o.scale)}
	defer at.crowd.leave()
	if a.prepare != nil {
		if err := a.prepare(at); err != nil {
			return nil, fmt.Errorf("preparation: %w", err)
		}
	}
	r.fight(a, at, o.duration)
	r.judge()
	if !a.stays {
		at.crowd.leave()
		r.aftermath(server, before["go_goroutines"])
	}
	r.End, err = server.terminate()
	r.fail(err)
	return r, nil
}

// fight lets the attackers loose while the victim works. They are still there when it returns.
func (r *result) fight(a *attack, at *arena, during time.Duration) {
	server := at.server
	began, lines := time.Now(), server.logLines()
	server.resetPeak()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	working, worked := context.WithTimeout(ctx, during)
	defer worked()
	guarding, guarded := context.WithCancel(context.Background())
	defer guarded()
	peak := make(chan int64)
	go func() { peak <- server.guard(guarding) }()
	v := newVictim(server, at.files, a.victim)
	attacked := make(chan error)
	go func() { attacked <- a.run(ctx, at) }()
	v.work(working)
	r.fail(served(server, "at the end of the attack"))
	r.Unsent = server.unsent()
	cancel()
	r.fail(<-attacked)
	guarded()
	r.PeakRSS = <-peak
	r.LogLines, r.Duration = server.logLines()-lines, time.Since(began)
	r.take(v)
	r.Connections = at.crowd.most
	r.Sent, r.Refused, r.Closed = at.crowd.sent.Load(), at.crowd.refused.Load(), at.crowd.closed.Load()
	r.fail(server.why())
}

// aftermath is what must hold when the attackers have gone.
func (r *result) aftermath(server *target, goroutines float64) {
	if server.ended() {
		return
	}
	r.fail(served(server, "after the attack"))
	r.fail(server.settled(goroutines))
	if rss, err := server.RSS(); err == nil {
		r.RSSAfter = rss
	}
}

// served is an error if a new client is not, within the time that counts as a stall.
func served(server *target, when string) error {
	var c *nfsclient.Client
	var err error
	for began := time.Now(); time.Since(began) < stall && !server.ended(); time.Sleep(refusedPause) {
		if c, err = nfsclient.Dial(server.NFS, nfsclient.Options{Local: "127.0.0.4", Timeout: stall}); err == nil {
			_, err = c.Mount("/export")
			_ = c.Close()
		}
		if err == nil {
			return nil
		}
	}
	if server.ended() {
		return nil // that is told by itself
	}
	return fmt.Errorf("a new client is not served within %v %s: %w", stall, when, err)
}
