package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/pkg/config"
)

// logging is the log on standard error, whose level and format can change
// while it is in use.
type logging struct {
	*slog.Logger
	level slog.LevelVar
	json  atomic.Bool
}

func newLogging(w io.Writer, c config.Logging) *logging {
	l := &logging{}
	l.Logger = slog.New(&switchHandler{
		json:   &l.json,
		asText: slog.NewTextHandler(w, &slog.HandlerOptions{Level: &l.level, ReplaceAttr: plainErrors}),
		asJSON: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: &l.level, ReplaceAttr: printableText}),
	})
	l.apply(c)
	return l
}

// apply takes over level and format; both were validated.
func (l *logging) apply(c config.Logging) {
	var level slog.Level
	if level.UnmarshalText([]byte(c.Level)) == nil {
		l.level.Set(level)
	}
	l.json.Store(c.Format == "json")
}

// switchHandler writes by one of two handlers, as the shared flag says.
type switchHandler struct {
	json           *atomic.Bool
	asText, asJSON slog.Handler
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

// plainErrors shows an error by its text. The text handler would use %+v, for
// which Pebble's errors have pages of stack traces.
func plainErrors(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

// printableText is plainErrors for the JSON handler, which, unlike the text handler,
// writes characters that do not show, and all bytes that are no UTF-8 alike. A stack
// is of our own, and has lines.
func printableText(groups []string, a slog.Attr) slog.Attr {
	a = plainErrors(groups, a)
	if a.Value.Kind() == slog.KindString && a.Key != "stack" {
		a.Value = slog.StringValue(printable.Text(a.Value.String()))
	}
	return a
}
