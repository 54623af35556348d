package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dittofs/dittofs/internal/control"
)

// admin is the HTTP listener of /healthz, /readyz and /metrics, and of the
// operations of commands if there is a token.
type admin struct {
	http *http.Server
	ln   net.Listener
}

// newAdmin listens at addr; an empty one turns the listener off (nil). commands
// is nil unless they may use it.
func newAdmin(addr string, st *state, m *metrics, commands http.Handler, logger *slog.Logger) (*admin, error) {
	if addr == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, atField("admin.listen", listenFault(addr, err))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", st.serveHealth)
	mux.HandleFunc("GET /readyz", st.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	if commands != nil {
		mux.Handle(control.Prefix, commands)
	}
	a := &admin{ln: ln, http: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}
	go func() {
		if err := a.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("admin listener stopped", "error", err)
		}
	}()
	return a, nil
}

func (a *admin) close(ctx context.Context) {
	if a != nil && a.http.Shutdown(ctx) != nil {
		_ = a.http.Close() // the process ends
	}
}

// listenFault says what to do about an address that cannot be listened at.
func listenFault(addr string, err error) error {
	return fmt.Errorf("cannot listen at %s: %w; choose a free address and port of this machine", addr, cause(err))
}
