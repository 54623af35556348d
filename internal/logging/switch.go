package logging

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/printable"
)

// switchHandler writes by one of two handlers, as the shared flag says.
type switchHandler struct {
	json           *atomic.Bool
	asText, asJSON slog.Handler
}

func newSwitchHandler(w io.Writer, level slog.Leveler) *switchHandler {
	return &switchHandler{
		json:   new(atomic.Bool),
		asText: slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: PlainErrors}),
		asJSON: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: printableText}),
	}
}

func (h *switchHandler) current() slog.Handler {
	if h.json.Load() {
		return h.asJSON
	}
	return h.asText
}

func (h *switchHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.current().Enabled(ctx, level)
}

func (h *switchHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.current().Handle(ctx, r)
}

func (h *switchHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &switchHandler{h.json, h.asText.WithAttrs(attrs), h.asJSON.WithAttrs(attrs)}
}

func (h *switchHandler) WithGroup(name string) slog.Handler {
	return &switchHandler{h.json, h.asText.WithGroup(name), h.asJSON.WithGroup(name)}
}

// PlainErrors shows an error by its text, as the ReplaceAttr of a handler. The
// text handler would use %+v, for which Pebble's errors have pages of stack
// traces.
func PlainErrors(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

// printableText is PlainErrors for the JSON handler, which, unlike the text handler,
// writes characters that do not show, and all bytes that are no UTF-8 alike. A stack
// is of our own, and has lines.
func printableText(groups []string, a slog.Attr) slog.Attr {
	a = PlainErrors(groups, a)
	if a.Value.Kind() == slog.KindString && a.Key != "stack" {
		a.Value = slog.StringValue(printable.Text(a.Value.String()))
	}
	return a
}
