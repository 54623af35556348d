// Package faultproxy is an HTTP proxy that stands before a real server and
// fails as networks and services do: by a script, or at random from a seed. It
// keeps the Host header, so that signed requests stay valid.
//
//	p := faultproxy.Start(t, server.Endpoint)
//	p.Set(faultproxy.Rule{Kind: faultproxy.ResetAfter, Match: faultproxy.Op("PutObject"), Times: 1})
//	store := open(p.URL())
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Proxy forwards to one server. Safe for concurrent use.
type Proxy struct {
	target    *url.URL
	transport *http.Transport
	address   string

	mu     sync.Mutex
	rules  rules
	counts map[string]Count
	server *http.Server // nil while down
	listen net.Listener
	held   map[net.Conn]struct{}
}

// Count is what passed, by operation.
type Count struct {
	Requests int64
	// Sent is bytes of bodies of requests that were forwarded, Received those of
	// answers that were passed back.
	Sent, Received int64
	// Faults counts what was done to requests.
	Faults map[Kind]int64
}

// Start runs a proxy for the time of the test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// New runs a proxy before target, a URL, on a free port of loopback.
func New(target string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		target: u,
		transport: &http.Transport{
			MaxIdleConnsPerHost: 64, DisableCompression: true, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
		},
		address: "127.0.0.1:0",
		counts:  map[string]Count{},
		held:    map[net.Conn]struct{}{},
	}
	return p, p.Up()
}

// URL is where the proxy listens.
func (p *Proxy) URL() string { return "http://" + p.address }

// Set replaces the scripted rules. Of those that match, the first applies.
func (p *Proxy) Set(script ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules.scripted = append([]Rule(nil), script...)
}

// Random makes requests fail with the probability, in one of the ways (default:
// Kinds), besides the script. The seed is for the log: with calls at once, only
// the sequence of choices is the same, not who meets them. 0 turns it off.
func (p *Proxy) Random(seed uint64, probability float64, kinds ...Kind) {
	if len(kinds) == 0 {
		kinds = Kinds
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules.random, p.rules.probability, p.rules.kinds = rand.New(rand.NewPCG(seed, 0)), probability, kinds
}

// SetLatency adds to every request.
func (p *Proxy) SetLatency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules.latency = d
}

// Counts returns what was counted since the start or the last Reset.
func (p *Proxy) Counts() map[string]Count {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := maps.Clone(p.counts)
	for op, c := range out {
		c.Faults = maps.Clone(c.Faults)
		out[op] = c
	}
	return out
}

// Faults sums the counts of faults.
func (p *Proxy) Faults() map[Kind]int64 {
	sum := map[Kind]int64{}
	for _, c := range p.Counts() {
		for kind, n := range c.Faults {
			sum[kind] += n
		}
	}
	return sum
}

// Reset sets the counts to zero.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts = map[string]Count{}
}

func (p *Proxy) count(op string, f func(*Count)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts[op]
	f(&c)
	p.counts[op] = c
}

// Down closes the port and every connection: connecting is refused.
func (p *Proxy) Down() {
	p.mu.Lock()
	server, listen := p.server, p.listen
	p.server, p.listen = nil, nil
	held := p.held
	p.held = map[net.Conn]struct{}{}
	p.mu.Unlock()
	if server != nil {
		_ = listen.Close() // the server may not know it yet
		_ = server.Close() // its connections are closed whatever it says
	}
	for conn := range held {
		_ = conn.Close()
	}
}

// Up listens again, on the same port.
func (p *Proxy) Up() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return fmt.Errorf("fault proxy: %w", err)
	}
	p.address = l.Addr().String()
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	server := p.server
	p.listen = l
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			log.Printf("fault proxy: %v", err)
		}
	}()
	return nil
}

// Close ends the proxy.
func (p *Proxy) Close() {
	p.Down()
	p.transport.CloseIdleConnections()
}

// ServeHTTP makes a proxy usable as the handler of another server, one with
// TLS for example.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := Operation(r)
	p.mu.Lock()
	rule := p.rules.decide(r)
	p.mu.Unlock()
	p.count(op, func(c *Count) {
		c.Requests++
		if rule.Kind != None {
			if c.Faults == nil {
				c.Faults = map[Kind]int64{}
			}
			c.Faults[rule.Kind]++
		}
	})
	if !pause(r.Context(), rule.Latency) {
		return
	}
	switch rule.Kind {
	case Status500:
		answer(w, r, S3Error(http.StatusInternalServerError, "InternalError", "the proxy says so"))
	case SlowDown:
		answer(w, r, S3Error(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate."))
	case TooMany:
		answer(w, r, Answer{Status: http.StatusTooManyRequests})
	case Replace:
		answer(w, r, rule.Answer)
	case Hang:
		p.hold(w)
	case ResetBefore:
		reset(w)
	default:
		p.forward(w, r, op, rule)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// answer reads the request's body first, as a service that throttles does.
func answer(w http.ResponseWriter, r *http.Request, a Answer) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	if a.ContentType != "" {
		w.Header().Set("Content-Type", a.ContentType)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body) // the client may be gone
}

// hijack takes the connection over.
func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return conn
}

// hold answers nothing, until the client or the proxy closes the connection.
func (p *Proxy) hold(w http.ResponseWriter) {
	conn := hijack(w)
	defer conn.Close()
	p.mu.Lock()
	down := p.server == nil
	if !down {
		p.held[conn] = struct{}{}
	}
	p.mu.Unlock()
	if down {
		return
	}
	_, _ = io.Copy(io.Discard, conn) // its end is all that matters
	p.mu.Lock()
	delete(p.held, conn)
	p.mu.Unlock()
}

func reset(w http.ResponseWriter) {
	conn := hijack(w)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // then closing is a reset
	}
	_ = conn.Close()
}
