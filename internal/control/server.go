package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/netlimit"
)

const (
	// maxRunning is how many operations run at a time; more are refused.
	maxRunning = 32
	// writeTimeout is how long a client has to take a line.
	writeTimeout = 30 * time.Second
	// defaultConnections is how many connections Serve has open at a time.
	defaultConnections = 64
)

// Options of a Server.
type Options struct {
	Logger  *slog.Logger // default: discards
	Version string       // of the server, for the index and for errors
	// MaxConnections is how many connections Serve has open at a time. Default 64.
	MaxConnections int
}

// Server runs operations for clients.
type Server struct {
	log     *slog.Logger
	version string
	http    *http.Server
	open    *netlimit.Table
	ctx     context.Context //nolint:containedctx // the life of the server: of all operations
	cancel  context.CancelFunc
	slots   chan struct{}

	mu         sync.RWMutex
	ready      bool
	operations map[string]Operation
}

// NewServer returns a server that refuses every operation as not started yet,
// until Ready.
func NewServer(opt Options) *Server {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.MaxConnections == 0 {
		opt.MaxConnections = defaultConnections
	}
	s := &Server{
		log: opt.Logger, version: opt.Version, slots: make(chan struct{}, maxRunning), operations: map[string]Operation{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          logging.Std(opt.Logger, slog.LevelWarn, "control socket"),
	}
	s.open = netlimit.NewTable(netlimit.Limits{Total: opt.MaxConnections}, func(e netlimit.Eviction) {
		s.log.Warn("a connection to the control socket was closed to make room for another", "held", e.Held, "idle", e.Idle)
	})
	return s
}

// Handle registers an operation; a name that is taken or is not one (a to z, 0
// to 9 and "-", 63 at most) is a fault of the program.
func (s *Server) Handle(name string, op Operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !operationName.MatchString(name) || s.operations[name] != nil {
		panic(fmt.Sprintf("control: operation %q is registered twice or is no name", name))
	}
	s.operations[name] = op
}

// Ready lets operations run: all are registered, and what they need is there.
func (s *Server) Ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// Serve answers the clients of a listener until Shutdown, and returns nil then.
// Who can connect to it may do everything: it is for a unix socket.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.http.Serve(netlimit.Listen(ln, s.open)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown cancels the operations, waits for them, those of WithToken too, and
// closes the listeners of Serve. When ctx ends first, connections are closed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.cancel()
	for range maxRunning { // those that get a slot from now on are refused
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			return errors.Join(ctx.Err(), s.http.Close())
		}
	}
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// ServeHTTP implements http.Handler, for everything below Prefix.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, Prefix)
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "there is nothing at "+r.URL.Path+"; operations are below "+Prefix)
	case name == "":
		s.serveIndex(w, r)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "an operation is started with POST")
	default:
		s.serveOperation(w, r, name)
	}
}

func (s *Server) serveIndex(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "the list of operations is read with GET")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Index{Version: s.version, Operations: s.names()}) // the client is gone
}

// names are the operations that can run now, in order.
func (s *Server) names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := []string{}
	if s.ready {
		for name := range s.operations {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *Server) serveOperation(w http.ResponseWriter, r *http.Request, name string) {
	s.mu.RLock()
	op, ready := s.operations[name], s.ready
	s.mu.RUnlock()
	switch {
	case !ready:
		refuse(w, http.StatusServiceUnavailable, "the server is still starting; /readyz says what it waits for")
		return
	case op == nil:
		refuse(w, http.StatusNotFound, fmt.Sprintf("this server (version %s) does not know the operation %s; it knows %s",
			s.version, quoteName(name), strings.Join(s.names(), ", ")))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxArguments))
	if err != nil {
		code := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			code = http.StatusRequestEntityTooLarge
		}
		refuse(w, code, "the arguments cannot be read: "+err.Error())
		return
	}
	args, err := checkArguments(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		if s.ctx.Err() != nil {
			refuse(w, http.StatusServiceUnavailable, "the server is stopping")
			return
		}
	default:
		refuse(w, http.StatusTooManyRequests,
			fmt.Sprintf("%d operations are running, which is the most; try again later", maxRunning))
		return
	}
	s.stream(w, r, name, op, args)
}

// stream runs an operation and sends each line as it comes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, name string, op Operation, args json.RawMessage) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	control := http.NewResponseController(w)
	send := func(line []byte) error {
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a listener without deadlines needs none
		if _, err := w.Write(line); err != nil {
			return err
		}
		return control.Flush()
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	err := s.run(ctx, name, op, args, func(v any) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := encodeLine(v)
		if err != nil {
			return err
		}
		return send(line)
	})
	end := last{Done: true}
	if err != nil {
		end = last{Error: err.Error()}
		if s.ctx.Err() != nil {
			end.Error = "the server is stopping: " + end.Error
		}
		s.log.Debug("control operation failed", "operation", name, "error", err)
	}
	text, err := json.Marshal(end)
	if err == nil {
		err = send(append(text, '\n'))
	}
	if err != nil {
		s.log.Debug("control answer not sent", "operation", name, "error", err)
	}
}

// run turns a panic into an error: a fault in a report must not end the server.
func (s *Server) run(
	ctx context.Context, name string, op Operation, args json.RawMessage, emit func(v any) error,
) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("control operation panicked", "operation", name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("a fault in the server: %v; its log has more", p)
		}
	}()
	return op(ctx, args, emit)
}

// refuse answers with the last line alone.
func refuse(w http.ResponseWriter, code int, why string) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(last{Error: why}) // the client is gone
}

// quoteName is a name from outside, for a message.
func quoteName(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return fmt.Sprintf("%q", name)
}
