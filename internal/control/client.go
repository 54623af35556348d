package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client calls the operations of one server.
type Client struct {
	where string // for messages
	base  string
	token string
	http  *http.Client
}

const (
	dialTimeout = 5 * time.Second
	// headerTimeout is how long a server has for the first line.
	headerTimeout = 10 * time.Minute
)

// Unix is a client of the server that listens at a socket.
func Unix(path string) *Client {
	return newClient(path, "http://dittofs", "", func(ctx context.Context, d *net.Dialer) (net.Conn, error) {
		return d.DialContext(ctx, "unix", path)
	})
}

// HTTP is a client of a server's admin listener, such as http://127.0.0.1:8080,
// with its token.
func HTTP(address, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") ||
		u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q is not the address of an admin listener (example: http://127.0.0.1:8080)", address)
	}
	return newClient(address, u.Scheme+"://"+u.Host, token, nil), nil
}

func newClient(where, base, token string, dial func(context.Context, *net.Dialer) (net.Conn, error)) *Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		DialContext: dialer.DialContext, ResponseHeaderTimeout: headerTimeout, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
	}
	if dial != nil {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dialer) }
	}
	return &Client{where: where, base: base, token: token, http: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Where is the address that the client was made with.
func (c *Client) Where() string { return c.where }

// Refused is an answer of a server that did not start an operation. Status is
// that of HTTP: 401 a wrong token, 404 an operation that it does not know, 429
// and 503 one that it cannot run now.
type Refused struct {
	Status int
	Reason string
	// Foreign: the answer is not of this protocol, so it is another server, or
	// a listener without operations.
	Foreign bool
}

// Error is the server's reason.
func (e *Refused) Error() string { return e.Reason }

// Unreachable is a failure to connect: there is no server, or no permission.
type Unreachable struct {
	Where string
	Err   error
}

// Error names the address.
func (e *Unreachable) Error() string {
	return "cannot reach the server at " + e.Where + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Unreachable) Unwrap() error { return e.Err }

// Failed is the error that an operation ended with.
type Failed struct{ Reason string }

// Error is the server's message.
func (e *Failed) Error() string { return e.Reason }

// ErrCut is the end of an answer without its last line: the server was stopped
// or killed, and nobody knows whether the operation was complete.
var ErrCut = errors.New("the answer ends before it is complete; the server has stopped, or the connection was cut")

// Call runs an operation and calls each with every line that it emits, until it
// is complete (nil), has failed (Failed), or each returns an error, which
// cancels it. args is what JSON can encode; nil for none. The slice that each
// gets is its own.
func (c *Client) Call(ctx context.Context, name string, args any, each func(line json.RawMessage) error) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.send(ctx, http.MethodPost, Prefix+name, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return readAnswer(resp.Body, each)
}

// send returns an answer of status 200.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, &Unreachable{Where: c.where, Err: op.Err}
		}
		return nil, fmt.Errorf("asking the server at %s: %w", c.where, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("asking the server at %s: %w", c.where, err)
	}
	refused := &Refused{Status: resp.StatusCode, Reason: "the server answers " + resp.Status, Foreign: true}
	if end, ok := parseLast(text); ok && end.Error != "" {
		refused.Reason, refused.Foreign = end.Error, false
	}
	return nil, refused
}

// readAnswer reads lines up to the last one.
func readAnswer(r io.Reader, each func(line json.RawMessage) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxLine)
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		if end, ok := parseLast(line); ok {
			if end.Done {
				return nil
			}
			return &Failed{end.Error}
		}
		if !json.Valid(line) {
			return ErrCut
		}
		if err := each(bytes.Clone(line)); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, bufio.ErrTooLong):
		return err
	}
	return ErrCut
}
