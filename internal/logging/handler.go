package logging

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/dittofs/dittofs/internal/netlimit"
)

// clientKey is the attribute that names the client that caused a line.
const clientKey = "client"

// limitHandler passes on what its limiter admits.
type limitHandler struct {
	next    slog.Handler
	limiter *limiter
	client  netip.Prefix // of attributes that all its records have
	grouped bool         // attributes of records are in a group, and so no client
}

func (h *limitHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *limitHandler) Handle(ctx context.Context, r slog.Record) error {
	client := h.client
	if !h.grouped && !client.IsValid() {
		r.Attrs(func(a slog.Attr) bool {
			client = clientOf(a)
			return !client.IsValid()
		})
	}
	now := r.Time
	if now.IsZero() {
		now = time.Now()
	}
	if !h.limiter.admit(now, r.Level, r.Message, client) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *limitHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.next = h.next.WithAttrs(attrs)
	for _, a := range attrs {
		if client := clientOf(a); client.IsValid() && !h.grouped {
			c.client = client
		}
	}
	return &c
}

func (h *limitHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.next, c.grouped = h.next.WithGroup(name), h.grouped || name != ""
	return &c
}

// clientOf is the client that an attribute names; the zero value if it does not.
func clientOf(a slog.Attr) netip.Prefix {
	if a.Key != clientKey {
		return netip.Prefix{}
	}
	switch v := a.Value.Resolve().Any().(type) {
	case netip.Addr:
		return netlimit.ClientOf(v)
	case netip.AddrPort:
		return netlimit.ClientOf(v.Addr())
	case *net.TCPAddr:
		return netlimit.ClientOf(v.AddrPort().Addr())
	case string:
		return parseClient(v)
	case net.Addr:
		return parseClient(v.String())
	}
	return netlimit.ClientOf(netip.Addr{})
}

// parseClient reads an address with or without a port. Clients whose address
// has another form count as one.
func parseClient(text string) netip.Prefix {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return netlimit.ClientOf(at.Addr())
	}
	addr, _ := netip.ParseAddr(text) // else it is none
	return netlimit.ClientOf(addr)
}
