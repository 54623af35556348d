package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/dittofs/dittofs/internal/printable"
)

// progressLine is the last line of a terminal, which is written over and over.
// Where there is no terminal it shows nothing.
type progressLine struct {
	w     io.Writer // nil: nothing is shown
	shown bool
}

// newProgressLine is one for people alone: programs have lines of their own.
func newProgressLine(w io.Writer, output format) *progressLine {
	if output != asText || !isTerminal(w) {
		return &progressLine{}
	}
	return &progressLine{w: w}
}

func (p *progressLine) show(text string) {
	if p.w == nil {
		return
	}
	p.shown = true
	fmt.Fprint(p.w, "\r\x1b[K"+printable.Line(text))
}

// clear takes the line away.
func (p *progressLine) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// follow runs an operation of the server and returns the last line of its
// answer. For programs it prints all lines, on a terminal what text says of each.
func follow[T any](
	ctx context.Context, server *target, environ []string, operation string, args any, output format, stdout,
	stderr io.Writer, text func(T) string,
) (last T, err error) {
	progress := newProgressLine(stderr, output)
	defer progress.clear()
	err = server.call(ctx, environ, operation, args, func(line json.RawMessage) error {
		var now T // what the line does not have must not stay from the one before
		if err := json.Unmarshal(line, &now); err != nil {
			return err
		}
		last = now
		if output == asJSON {
			return printLine(stdout, line)
		}
		progress.show(text(now))
		return nil
	})
	return last, err
}
