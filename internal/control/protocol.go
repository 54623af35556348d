package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"unicode/utf8"
)

// Operation does what its name says and emits values on the way, each one line
// of the answer. It ends when ctx does: the client has gone, or the server
// stops. emit fails when the client has gone; a value must not be an object of
// only "done" or only "error", which are last lines. emit may be called by one
// goroutine at a time. The error is the last line of the answer.
type Operation func(ctx context.Context, args json.RawMessage, emit func(v any) error) error

// Prefix begins the path of every operation.
const Prefix = "/v1/"

// Bounds of the body of a request and of a line of an answer, in bytes.
const (
	MaxArguments = 1 << 20
	MaxLine      = 8 << 20
)

// Index is the answer to GET /v1/.
type Index struct {
	Version    string   `json:"version"`
	Operations []string `json:"operations"`
}

// last is the last line of an answer.
type last struct {
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"`
}

var operationName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

var (
	errReserved = errors.New("control: a value of only done or only error is a last line")
	errTooLong  = errors.New("control: a line is longer than 8 MiB")
)

// encodeLine renders one value as a line.
func encodeLine(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	switch {
	case err != nil:
		return nil, err
	case len(text) >= MaxLine:
		return nil, errTooLong
	}
	if _, end := parseLast(text); end {
		return nil, errReserved
	}
	return append(text, '\n'), nil
}

// parseLast tells whether a line is a last one.
func parseLast(line []byte) (last, bool) {
	// Most lines are not; those that cannot be are not parsed.
	if !bytes.Contains(line, []byte(`"done"`)) && !bytes.Contains(line, []byte(`"error"`)) {
		return last{}, false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil || len(fields) != 1 {
		return last{}, false
	}
	var l last
	if text, ok := fields["error"]; ok && json.Unmarshal(text, &l.Error) == nil && l.Error != "" {
		return l, true
	}
	if text, ok := fields["done"]; ok && json.Unmarshal(text, &l.Done) == nil && l.Done {
		return l, true
	}
	return last{}, false
}

// checkArguments returns the arguments of a request's body; none are null.
func checkArguments(body []byte) (json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return json.RawMessage("null"), nil
	case !utf8.Valid(body) || !json.Valid(body):
		return nil, errors.New("the arguments are not one JSON value in UTF-8")
	}
	return body, nil
}
