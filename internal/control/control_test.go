package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/control"
)

// limit bounds every wait; reaching it is a failure.
const limit = 20 * time.Second

// serve starts a server at a socket.
func serve(t *testing.T, operations map[string]control.Operation) (*control.Server, *control.Client) {
	t.Helper()
	s := control.NewServer(control.Options{Version: "1.2.3"})
	for name, op := range operations {
		s.Handle(name, op)
	}
	s.Ready()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := control.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
	return s, control.Unix(path)
}

type line struct {
	N     int    `json:"n,omitempty"`
	Error string `json:"error,omitempty"`
}

func count(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
	var n int
	if err := json.Unmarshal(args, &n); err != nil {
		return err
	}
	for i := range n {
		if err := emit(line{N: i + 1}); err != nil {
			return err
		}
	}
	return nil
}

func call(t *testing.T, c *control.Client, name string, args any) (lines []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err = c.Call(ctx, name, args, func(l json.RawMessage) error {
		lines = append(lines, string(l))
		return nil
	})
	return lines, err
}

func TestAnOperationGetsItsArgumentsAndItsLinesArrive(t *testing.T) {
	_, c := serve(t, map[string]control.Operation{"count": count,
		"null": func(_ context.Context, args json.RawMessage, emit func(any) error) error {
			return emit(map[string]string{"args": string(args)})
		}})
	if lines, err := call(t, c, "count", 3); err != nil || fmt.Sprint(lines) != `[{"n":1} {"n":2} {"n":3}]` {
		t.Errorf("%v %v", lines, err)
	}
	if lines, err := call(t, c, "null", nil); err != nil || fmt.Sprint(lines) != `[{"args":"null"}]` {
		t.Errorf("%v %v", lines, err)
	}
}

func TestLinesArriveWhileTheOperationRuns(t *testing.T) {
	seen := make(chan struct{})
	_, c := serve(t,
		map[string]control.Operation{"slow": func(ctx context.Context, _ json.RawMessage, emit func(any) error) error {
			if err := emit(line{N: 1}); err != nil {
				return err
			}
			select {
			case <-seen:
				return emit(line{N: 2})
			case <-time.After(limit):
				return errors.New("the client has not seen the first line")
			}
		}})
	n := 0
	err := c.Call(context.Background(), "slow", nil, func(json.RawMessage) error {
		if n++; n == 1 {
			close(seen)
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestFailuresReachTheClient(t *testing.T) {
	_, c := serve(t, map[string]control.Operation{
		"fails": func(_ context.Context, _ json.RawMessage, emit func(any) error) error {
			return errors.Join(emit(line{Error: "of one file", N: 7}), errors.New("no more"))
		},
		"panics":   func(context.Context, json.RawMessage, func(any) error) error { panic("oops") },
		"reserved": func(_ context.Context, _ json.RawMessage, emit func(any) error) error { return emit(line{Error: "x"}) },
		"long": func(_ context.Context, _ json.RawMessage, emit func(any) error) error {
			return emit(strings.Repeat("x", control.MaxLine))
		},
	})
	for name, want := range map[string]string{
		"fails": "no more", "panics": "a fault in the server: oops; its log has more",
		"reserved": "control: a value of only done or only error is a last line",
		"long":     "control: a line is longer than 8 MiB",
	} {
		lines, err := call(t, c, name, nil)
		var failed *control.Failed
		if !errors.As(err, &failed) || failed.Reason != want {
			t.Errorf("%s: %v", name, err)
		}
		if name == "fails" && fmt.Sprint(lines) != `[{"n":7,"error":"of one file"}]` {
			t.Errorf("%v", lines)
		}
	}
	if lines, err := call(t, c, "panics", nil); len(lines) > 0 || err == nil {
		t.Error("the server did not survive the first panic")
	}
}

func TestWhatCannotBeStartedIsRefusedWithItsReason(t *testing.T) {
	s, c := serve(t, map[string]control.Operation{"count": count, "other": count})
	_, err := call(t, c, "fsck", nil)
	var refused *control.Refused
	want := `this server (version 1.2.3) does not know the operation "fsck"; it knows count, other`
	if !errors.As(err, &refused) || refused.Status != http.StatusNotFound || refused.Reason != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := call(t, c, "count", strings.Repeat("x", control.MaxArguments)); !errors.As(err, &refused) ||
		refused.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("%v", err)
	}
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, control.Prefix, nil))
	var index control.Index
	if err := json.NewDecoder(answer.Body).Decode(&index); err != nil || fmt.Sprint(index) != "{1.2.3 [count other]}" {
		t.Errorf("%v %v", index, err)
	}
}

func TestAServerThatIsNotReadyRefusesOperations(t *testing.T) {
	s := control.NewServer(control.Options{})
	s.Handle("count", count)
	ln, err := control.ListenUnix(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	defer s.Shutdown(context.Background())
	c := control.Unix(ln.Addr().String())
	var refused *control.Refused
	if _, err := call(t, c, "count", 1); !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
	s.Ready()
	if _, err := call(t, c, "count", 1); err != nil {
		t.Error(err)
	}
}

func TestAClientThatGoesAwayEndsItsOperation(t *testing.T) {
	ended := make(chan error, 1)
	_, c := serve(t,
		map[string]control.Operation{"wait": func(ctx context.Context, _ json.RawMessage, emit func(any) error) error {
			if err := emit(line{N: 1}); err != nil {
				return err
			}
			<-ctx.Done()
			ended <- emit(line{N: 2})
			return ctx.Err()
		}})
	stop := errors.New("enough")
	if err := c.Call(context.Background(), "wait", nil, func(json.RawMessage) error { return stop }); !errors.Is(err,
		stop) {
		t.Errorf("%v", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("emit succeeds for a client that has gone")
		}
	case <-time.After(limit):
		t.Fatal("the operation runs on")
	}
}

func TestShutdownEndsOperationsAndSaysSo(t *testing.T) {
	started := make(chan struct{})
	s, c := serve(t,
		map[string]control.Operation{"wait": func(ctx context.Context, _ json.RawMessage, emit func(any) error) error {
			close(started)
			<-ctx.Done()
			return ctx.Err()
		}})
	done := make(chan error, 1)
	go func() { done <- c.Call(context.Background(), "wait", nil, nil) }()
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || err.Error() != "the server is stopping: context canceled" {
		t.Errorf("%v", err)
	}
	if _, err := call(t, c, "wait", nil); err == nil {
		t.Error("an operation was started after the shutdown")
	}
}

// TestTheTimeoutOfARequestDoesNotEndALongOperation: the time-outs of a listener
// are of its short answers, and the admin listener has both.
func TestTheTimeoutOfARequestDoesNotEndALongOperation(t *testing.T) {
	s := control.NewServer(control.Options{})
	s.Handle("long", func(ctx context.Context, _ json.RawMessage, emit func(any) error) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
			return emit(line{N: 1})
		}
	})
	s.Ready()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: s, ReadTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond}
	go func() { _ = h.Serve(ln) }()
	defer h.Close()
	c, err := control.HTTP("http://"+ln.Addr().String(), "")
	if err != nil {
		t.Fatal(err)
	}
	if lines, err := call(t, c, "long", nil); err != nil || len(lines) != 1 {
		t.Errorf("%v %v", lines, err)
	}
}

func TestOperationsAreBounded(t *testing.T) {
	release := make(chan struct{})
	_, c := serve(t,
		map[string]control.Operation{"wait": func(ctx context.Context, _ json.RawMessage, emit func(any) error) error {
			if err := emit(line{N: 1}); err != nil {
				return err
			}
			<-release
			return nil
		}})
	const most = 32
	started, done := make(chan struct{}), make(chan error, most)
	for range most {
		go func() {
			done <- c.Call(context.Background(), "wait", nil, func(json.RawMessage) error { started <- struct{}{}; return nil })
		}()
	}
	for range most {
		<-started
	}
	var refused *control.Refused
	if _, err := call(t, c, "wait", nil); !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
		t.Errorf("%v", err)
	}
	close(release)
	for range most {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestTheSocketIsForItsOwnerAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "s")
	ln, err := control.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestADeadServersSocketIsReplacedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	ln, err := control.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := control.ListenUnix(path); err == nil ||
		!strings.Contains(err.Error(), "another server answers at "+path) {
		t.Errorf("%v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.ListenUnix(file); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("%v", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "text" {
		t.Errorf("%q %v", text, err)
	}
	if _, err := control.ListenUnix("/" + strings.Repeat("x", control.MaxSocketPath)); err == nil ||
		!strings.Contains(err.Error(), "108 bytes") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatEndsLeavesTheSocketOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	mine, err := control.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	theirs, err := control.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := mine.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the other's socket: %v", err)
	}
	if err := theirs.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its own socket is left: %v", err)
	}
}

func TestNoServerIsUnreachable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, err := call(t, control.Unix(path), "status", nil)
	var unreachable *control.Unreachable
	if !errors.As(err, &unreachable) || unreachable.Where != path || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerThatIsCutOffIsAnError(t *testing.T) {
	for _, text := range []string{"", `{"n":1}` + "\n", `{"n":1}` + "\n" + `{"do`} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }),
		}
		go func() { _ = h.Serve(ln) }()
		c, err := control.HTTP("http://"+ln.Addr().String(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := call(t, c, "x", nil); !errors.Is(err, control.ErrCut) {
			t.Errorf("%q: %v", text, err)
		}
		h.Close()
	}
}

func TestAnAddressMustBeThatOfAListener(t *testing.T) {
	for _, address := range []string{
		"", "127.0.0.1:8080", "ftp://h", "http://", "http://h/v1", "http://u:p@h", "http://h?x",
	} {
		if _, err := control.HTTP(address, ""); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
}
