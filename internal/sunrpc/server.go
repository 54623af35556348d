package sunrpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/netlimit"
	"github.com/dittofs/dittofs/internal/sunrpc/budget"
)

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = errors.New("sunrpc: server closed")

// Options of a Server. Zero values mean the defaults.
type Options struct {
	Programs []Program
	Logger   *slog.Logger // default: discards
	Observer Observer     // default: none

	// MaxRecord is the largest call in bytes. Default 1 MiB + 64 KiB.
	MaxRecord int
	// MaxConns is the most connections. For another one the idlest of the
	// client that has most is closed. Default 4096.
	MaxConns int
	// MaxInFlight is the most calls of one connection on goroutines. Default
	// 256.
	MaxInFlight int
	// MaxBytes is the most memory for what has arrived, what calls hold, and
	// replies, of all connections. Default 256 MiB; at least 16 times MaxRecord
	// is taken, for less would not let large calls be served side by side.
	MaxBytes int64

	RecordTimeout time.Duration // for the whole of a record once it began; default 30 s
	IdleTimeout   time.Duration // between calls; default 15 minutes
	WriteTimeout  time.Duration // for a client to take its replies; default 60 s

	Duplicates DuplicateCache
}

func (o *Options) setDefaults() {
	setDefault(&o.MaxRecord, 1<<20+64<<10)
	setDefault(&o.MaxConns, 4096)
	setDefault(&o.MaxInFlight, 256)
	setDefault(&o.MaxBytes, 256<<20)
	o.MaxBytes = max(o.MaxBytes, 16*int64(o.MaxRecord))
	setDefault(&o.RecordTimeout, 30*time.Second)
	setDefault(&o.IdleTimeout, 15*time.Minute)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.Duplicates.Entries, 32<<10)
	setDefault(&o.Duplicates.Bytes, 16<<20)
	setDefault(&o.Duplicates.Age, 5*time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// boundProc is a procedure with its recorder.
type boundProc struct {
	Proc
	program  string
	recorder Recorder
}

type boundVersion struct {
	number uint32
	procs  []boundProc
	ahead  func([]Arrived) bool
}

type boundProgram struct {
	number   uint32
	low      uint32
	high     uint32
	versions []boundVersion
}

// Server serves RPC programs on any number of listeners.
type Server struct {
	opts       Options
	log        *slog.Logger
	programs   []boundProgram
	buffers    *buffers
	drc        *drc
	budget     *budget.Budget // bytes of all connections
	workers    workers
	polling    atomic.Bool                  // a connection waits in poll
	lastReader atomic.Pointer[recordReader] // of the connection that was read last
	watched    atomic.Int64                 // connections whose reader may serve a call that waits
	listings   places                       // of all clients

	ctx    context.Context //nolint:containedctx // the life of the server: of all handlers
	cancel context.CancelFunc

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	places    *netlimit.Table
	clients   map[netip.Prefix]*client
	done      sync.WaitGroup // connections
}

// NewServer returns a server of the programs. It fails if a program or version
// is there twice, or a Cached procedure is not Blocking.
func NewServer(opts Options) (*Server, error) {
	opts.setDefaults()
	programs, err := bind(opts.Programs, opts.Observer)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		opts: opts, log: opts.Logger, programs: programs,
		buffers:  newBuffers(opts.MaxRecord),
		drc:      newDRC(opts.Duplicates),
		budget:   budget.New(opts.MaxBytes),
		listings: newPlaces(listingsOfClients * side()),
		ctx:      ctx, cancel: cancel,
		listeners: map[net.Listener]struct{}{},
		clients:   map[netip.Prefix]*client{},
		conns:     map[*conn]struct{}{},
		places:    netlimit.NewTable(netlimit.Limits{Total: opts.MaxConns}, nil),
	}, nil
}

func bind(programs []Program, obs Observer) ([]boundProgram, error) {
	var out []boundProgram
	seen := map[[2]uint32]bool{}
	for _, p := range programs {
		if len(p.Versions) == 0 {
			return nil, fmt.Errorf("program %s has no version", p.Name)
		}
		bp := boundProgram{number: p.Number, low: p.Versions[0].Number, high: p.Versions[0].Number}
		for _, v := range p.Versions {
			if id := [2]uint32{p.Number, v.Number}; seen[id] {
				return nil, fmt.Errorf("program %s version %d is there twice", p.Name, v.Number)
			} else {
				seen[id] = true
			}
			bp.low, bp.high = min(bp.low, v.Number), max(bp.high, v.Number)
			bv := boundVersion{number: v.Number, ahead: v.Ahead}
			for _, proc := range v.Procs {
				if proc.Cached && proc.Class != Blocking {
					return nil, fmt.Errorf("procedure %s is cached but not blocking", proc.Name)
				}
				b := boundProc{Proc: proc, program: p.Name}
				if proc.Handler != nil {
					b.recorder = obs.Procedure(p.Name, v.Number, proc.Name)
				}
				bv.procs = append(bv.procs, b)
			}
			bp.versions = append(bp.versions, bv)
		}
		out = append(out, bp)
	}
	return out, nil
}

// keepAlive finds dead clients, and keeps idle connections known to load
// balancers, most of which forget them after 350 s.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// Serve accepts connections until Shutdown, then returns ErrServerClosed. It
// closes ln.
func (s *Server) Serve(ln net.Listener) error {
	if !s.addListener(ln) {
		_ = ln.Close()
		return ErrServerClosed
	}
	defer s.removeListener(ln)
	var delay time.Duration
	for {
		nc, err := ln.Accept()
		if err == nil {
			delay = 0
			s.start(nc)
			continue
		}
		if s.isClosed() {
			return ErrServerClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept: %w", err)
		}
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		s.log.Warn("accept failed, trying again", "error", err, "delay", delay)
		select {
		case <-time.After(delay):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

func (s *Server) start(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		if err := errors.Join(tcp.SetKeepAliveConfig(keepAlive), boundUnsent(tcp)); err != nil {
			s.log.Debug("set socket options", "client", nc.RemoteAddr(), "error", err)
		}
	}
	c := newConn(s, nc)
	if !s.admit(c) {
		c.account.Close()
		_ = nc.Close()
		return
	}
	s.opts.Observer.Connections(1)
	s.workers.connections(1)
	go c.serve()
}

// admit enters a connection among the open ones, and closes another one for it if
// there are too many.
func (s *Server) admit(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	c.place = s.places.Add(c.host, func() { c.evict(EvictedForConnections) })
	c.client = s.clientOf(c.host)
	s.conns[c] = struct{}{}
	s.done.Add(1)
	return true
}

func (s *Server) forget(c *conn) {
	s.opts.Observer.Connections(-1)
	s.workers.connections(-1)
	s.mu.Lock()
	c.place.Remove()
	delete(s.conns, c)
	s.leave(c.host)
	s.mu.Unlock()
	s.done.Done()
}

// Shutdown stops gracefully: it accepts and reads no more, finishes the calls
// that have arrived, sends their replies and closes the connections in an
// orderly way, so that clients reconnect at once. When ctx ends first, calls
// are cancelled, connections are closed, and its error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for ln := range s.listeners {
		_ = ln.Close()
	}
	for c := range s.conns {
		c.stop()
	}
	s.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		s.done.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.nc.Close()
	}
	s.mu.Unlock()
	return ctx.Err()
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.listeners[ln] = struct{}{}
	}
	return !s.closed
}

func (s *Server) removeListener(ln net.Listener) {
	_ = ln.Close()
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
