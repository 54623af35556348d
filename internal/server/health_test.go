package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/pkg/health"
)

func ready(t *testing.T, s *state, query string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.serveReady(w, httptest.NewRequest(http.MethodGet, "/readyz"+query, nil))
	return w.Code, w.Body.String()
}

func TestReadinessNamesTheStoreAtFault(t *testing.T) {
	s := newState("v1")
	if code, body := ready(t, s, ""); code != 503 || body != "starting\n" {
		t.Errorf("at the start: %d %q", code, body)
	}
	s.enter(health.Serving)
	if code, body := ready(t, s, ""); code != 200 || body != "ok\n" {
		t.Errorf("serving: %d %q", code, body)
	}
	s.set(health.Content, &fault.Error{Store: "content", Reason: fault.BucketNotFound, Message: "no bucket"})
	want := "serving without a store\ncontent: BucketNotFound: no bucket\n"
	if code, body := ready(t, s, ""); code != 503 || body != want {
		t.Errorf("without a store: %d %q", code, body)
	}
	if code, body := ready(t, s, "?exclude=metadata"); code != 503 || body != want {
		t.Errorf("another check excluded: %d %q", code, body)
	}
	if code, body := ready(t, s, "?exclude=content"); code != 200 || body != "ok\ncontent: BucketNotFound: no bucket\n" {
		t.Errorf("excluded: %d %q", code, body)
	}
	code, body := ready(t, s, "?format=json&exclude=content&exclude=metadata")
	var report health.Report
	if err := json.Unmarshal([]byte(body), &report); err != nil || code != 200 || !report.Ready ||
		report.Phase != health.Serving {
		t.Errorf("%v: %d %s", err, code, body)
	}
	if c := report.Find(health.Content); c == nil || c.OK || c.Reason != "BucketNotFound" || c.Message != "no bucket" {
		t.Errorf("%s", body)
	}
	if c := report.Find(health.Metadata); c == nil || !c.OK {
		t.Errorf("%s", body)
	}
	s.set(health.Content, nil)
	s.fail(errors.New("disk died"))
	if code, body := ready(t, s, "?exclude=content"); code != 503 || body != "disk died\n" {
		t.Errorf("failed: %d %q", code, body)
	}
	s.enter(health.Stopping)
	if r := s.report(nil); r.Phase != health.Failed {
		t.Errorf("a failed server is %s", r.Phase)
	}
}

func TestAStartWaitsForAStoreThatCannotBeReached(t *testing.T) {
	for _, lasting := range []bool{false, true} {
		s, tries := newState("v1"), 0
		o := &opener{state: s, logger: slog.New(slog.DiscardHandler), patient: lasting}
		err := o.open(t.Context(), "a store", func() error {
			if tries++; tries == 1 {
				return &fault.Error{Store: "metadata", Reason: fault.Unreachable, Message: "gone", Lasting: lasting}
			}
			if _, body := ready(t, s, ""); !strings.Contains(body, "metadata: Unreachable: gone") {
				t.Errorf("while it waits: %q", body)
			}
			return nil
		})
		if err != nil || tries != 2 {
			t.Errorf("lasting %v: %d tries, %v", lasting, tries, err)
		}
	}
}

func TestAStartThatWaitsRepeatsWhatKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := &opener{state: newState("v1"), logger: slog.New(slog.NewTextHandler(&out, nil)), patient: true}
		start := time.Now()
		if err := o.open(t.Context(), "metadata: postgres", func() error {
			if time.Since(start) < 15*time.Second {
				return &fault.Error{Store: "metadata", Reason: fault.InvalidConfiguration, Message: "broken", Lasting: true}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, want := range []string{`for=1s cause=broken`, `for=11s cause=broken`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no line with %s:\n%s", want, out.String())
			}
		}
		time.Sleep(time.Minute) // the goroutine that tells ends
	})
}

// hung is a disk that does not answer, whatever the context says.
type hung struct {
	asked  atomic.Int64
	answer chan error
}

func (h *hung) Check(context.Context) error {
	h.asked.Add(1)
	return <-h.answer
}

func TestADiskThatHangsIsToldOfAndAskedOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk := newState("v1"), &hung{answer: make(chan error)}
		s.enter(health.Serving)
		ctx, stop := context.WithCancel(t.Context())
		go s.watch(ctx, health.Cache, disk, slog.New(slog.DiscardHandler), func(error) {})
		time.Sleep(5 * time.Second)
		if r := s.report(nil); r.Ready || r.Find(health.Cache) == nil ||
			r.Find(health.Cache).Message != "no answer within 2s" {
			t.Errorf("after 5 s: %+v", r)
		}
		time.Sleep(time.Minute)
		if n := disk.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		close(disk.answer)
		time.Sleep(5 * time.Second)
		if r := s.report(nil); !r.Ready || r.Find(health.Cache) != nil {
			t.Errorf("after the answer: %+v", r)
		}
		stop()
		time.Sleep(5 * time.Second)
	})
}

func TestAStartFailsAtOnceWhenAStoreRefusesTheServer(t *testing.T) {
	o := &opener{state: newState("v1"), logger: slog.New(slog.DiscardHandler)}
	err := o.open(t.Context(), "a store", func() error {
		return &fault.Error{
			Store: "content", Reason: fault.InvalidCredentials, Message: "content.credentials_file: wrong", Lasting: true,
		}
	})
	var field interface{ ConfigField() string }
	if !errors.As(err, &field) || field.ConfigField() != "content" || err.Error() != "content.credentials_file: wrong" {
		t.Errorf("%v", err)
	}
}

func TestAStartWaitsForAPredecessorUntilItsDeadline(t *testing.T) {
	o := &opener{
		state: newState("v1"), logger: slog.New(slog.DiscardHandler), deadline: time.Now().Add(250 * time.Millisecond),
	}
	tries := 0
	err := o.open(t.Context(), "a store", func() error { tries++; return meta.ErrLocked })
	if !errors.Is(err, meta.ErrLocked) || tries < 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// flaky is a store whose answer the test gives.
type flaky struct{ answer chan error }

func (f flaky) Check(ctx context.Context) error {
	select {
	case err := <-f.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestAStoreThatGivesNoAnswerIsUnreachable(t *testing.T) {
	a := &asker{store: "content", checker: flaky{}}
	if f, _ := a.ask(t.Context()); f == nil || f.Reason != fault.Unreachable || f.Message != "no answer within 2s" {
		t.Errorf("%+v", f)
	}
}

func TestAFaultOfAStoreIsSeenAndCleared(t *testing.T) {
	s := newState("v1")
	s.enter(health.Serving)
	store := flaky{make(chan error)}
	go s.watch(t.Context(), health.Content, store, slog.New(slog.DiscardHandler), func(error) {})
	store.answer <- &fault.Error{Store: "content", Reason: fault.AccessDenied, Message: "no"}
	eventually(t, "the fault is seen", func() bool { return !s.report(nil).Ready })
	store.answer <- nil
	eventually(t, "the fault is cleared", func() bool { return s.report(nil).Ready })
}

func TestAStartThatWaitsSaysForWhatAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := &opener{state: newState("v1"), logger: slog.New(slog.NewTextHandler(&out, nil))}
		if err := o.open(t.Context(), "content: s3 bucket b", func() error {
			time.Sleep(25 * time.Second)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, want := range []string{`store="content: s3 bucket b" for=1s`, `for=11s`, `for=21s`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no line with %s:\n%s", want, out.String())
			}
		}
		time.Sleep(time.Minute)
		if n := strings.Count(out.String(), "\n"); n != 3 {
			t.Errorf("%d lines:\n%s", n, out.String())
		}
	})
}
