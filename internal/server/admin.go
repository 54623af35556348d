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
	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/netlimit"
)

// admin is the HTTP listener of /healthz, /readyz and /metrics, and of the
// operations of commands if there is a token.
type admin struct {
	http *http.Server
	ln   net.Listener
}

// newAdmin listens at addr, for as many connections as limits say: of probes,
// of whoever reads the metrics, and of commands. An empty addr turns the listener
// off (nil). commands is nil unless they may use it.
func newAdmin(
	addr string, limits netlimit.Limits, st *state, m *metrics, commands http.Handler, logger *slog.Logger,
) (*admin, error) {
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
	mux.Handle("GET /metrics", &shared{
		handler: promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}), period: gatherPeriod,
	})
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
		ErrorLog:          logging.Std(logger, slog.LevelWarn, "admin listener"),
	}}
	open := netlimit.NewTable(limits, func(e netlimit.Eviction) {
		logger.Warn("a connection to the admin listener was closed to make room for another",
			"client", e.Client.Addr(), "held", e.Held, "idle", e.Idle)
	})
	m.counter("dittofs_admin_connections_evicted_total",
		"Connections to the admin listener that were closed to make room for others.",
		func() float64 { return float64(open.Evicted()) })
	go func() {
		if err := a.http.Serve(netlimit.Listen(ln, open)); !errors.Is(err, http.ErrServerClosed) {
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
