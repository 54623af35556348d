// Package logging is the log of the process: lines on standard error, of which
// nobody can cause too many, and for which nothing ever waits. It exists because
// a log is a resource like others: whoever reaches the port causes lines, and
// whoever reads them can die or stop reading.
//
// A record passes three parts in this order: limitHandler leaves out what is
// repeated, switchHandler makes it text or JSON, and Writer queues the line for
// a goroutine that writes it. What is left out or dropped is counted.
//
// The client that caused a line is its attribute "client": an address, with or
// without a port. The kind of a line is its message, so what differs from one
// line to the next belongs into attributes.
//
//	log := logging.New(os.Stderr, config.Logging{Level: "info", Format: "text"})
//	defer log.Close(time.Second)
//	log.Info("mount refused", "client", remote, "path", dir)
package logging

import (
	"bytes"
	"context"
	"io"
	stdlog "log"
	"log/slog"
	"time"

	"github.com/dittofs/dittofs/pkg/config"
)

// Log is a log whose level and format can change while it is in use.
type Log struct {
	*slog.Logger
	// Level is that of the lines that are written.
	Level slog.LevelVar

	format  *switchHandler
	limiter *limiter
	writer  *Writer
}

// New returns a log that writes to w.
func New(w io.Writer, c config.Logging) *Log {
	l := &Log{limiter: newLimiter()}
	l.writer = NewWriter(w, l.tellDropped)
	l.format = newSwitchHandler(l.writer, &l.Level)
	l.Logger = slog.New(&limitHandler{next: l.format, limiter: l.limiter})
	l.limiter.tell = l.tellLeftOut
	l.Apply(c)
	return l
}

// Apply takes over level and format; both were validated.
func (l *Log) Apply(c config.Logging) {
	var level slog.Level
	if level.UnmarshalText([]byte(c.Level)) == nil {
		l.Level.Set(level)
	}
	l.format.json.Store(c.Format == "json")
}

// Print writes text as it is, such as the error that ends the process.
func (l *Log) Print(text string) { _, _ = l.writer.Write([]byte(text + "\n")) }

// Counts are the lines that nobody will read, since the start.
type Counts struct {
	LeftOut uint64 // because they were repeated
	Dropped uint64 // because the log was not read, or could not be written
}

// Counts returns the counts now.
func (l *Log) Counts() Counts {
	return Counts{LeftOut: l.limiter.leftOut.Load(), Dropped: l.writer.Dropped()}
}

// Close says what was left out and not told yet, and waits until all lines are
// written, but no longer than within: a reader that has stopped must not keep
// the process. Lines may still be logged afterwards.
func (l *Log) Close(within time.Duration) {
	l.limiter.report(time.Now())
	l.writer.Flush(within)
}

// tellDropped logs what the writer dropped, now that it can write again.
func (l *Log) tellDropped(lines uint64) {
	l.Warn("lines of this log were dropped: it was not read, or could not be written", "lines", lines)
}

// tellLeftOut logs what the limiter left out; it passes no limit.
func (l *Log) tellLeftOut(now time.Time, s summary) {
	r := slog.NewRecord(now, s.level, "repeated lines were left out", 0)
	r.AddAttrs(slog.String("kind", s.kind), slog.Uint64("lines", s.lines))
	if s.clients > 0 {
		r.AddAttrs(slog.Int("clients", s.clients), slog.String("most_of", s.greediest))
	}
	_ = l.format.Handle(context.Background(), r) // its writer does not fail
}

// Std returns a logger for code that has no other, such as net/http. Each of
// its lines is the attribute "text" of a record with the message, so that all of
// them are of one kind.
func Std(to *slog.Logger, level slog.Level, message string) *stdlog.Logger {
	return stdlog.New(stdWriter{to, level, message}, "", 0)
}

type stdWriter struct {
	to      *slog.Logger
	level   slog.Level
	message string
}

// maxText bounds a line of Std in bytes.
const maxText = 4096

func (w stdWriter) Write(line []byte) (int, error) {
	text := bytes.TrimSpace(line)
	w.to.Log(context.Background(), w.level, w.message, "text", string(text[:min(len(text), maxText)]))
	return len(line), nil
}
