package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// backend answers with what it got, and counts.
func backend(t *testing.T) (url string, calls *atomic.Int64) {
	t.Helper()
	calls = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("X-Uri", r.RequestURI)
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

// post sends body, on a connection of its own.
func post(t *testing.T, url, body string) (*http.Response, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestRequestsPassUnchanged(t *testing.T) {
	target, _ := backend(t)
	p := Start(t, target)
	resp, body, err := post(t, p.URL()+"/a%2Fb/c%21?x=1&uploads", "hello")
	if err != nil || body != "hello" {
		t.Fatalf("%q, %v", body, err)
	}
	if got := resp.Header.Get("X-Host"); "http://"+got != p.URL() {
		t.Errorf("host %q", got)
	}
	if got := resp.Header.Get("X-Uri"); got != "/a%2Fb/c%21?x=1&uploads" {
		t.Errorf("URI %q", got)
	}
	if c := p.Counts()["CreateMultipartUpload"]; c.Requests != 1 || c.Sent != 5 || c.Received != 5 || len(c.Faults) != 0 {
		t.Errorf("counts %+v", c)
	}
	p.Reset()
	if len(p.Counts()) != 0 {
		t.Error("counts are not reset")
	}
}

func TestFaults(t *testing.T) {
	body := strings.Repeat("x", 100_000)
	for kind, c := range map[Kind]struct {
		status  int // 0: no answer
		reset   bool
		reaches bool // the backend
	}{
		None:        {200, false, true},
		Status500:   {500, false, false},
		SlowDown:    {503, false, false},
		TooMany:     {429, false, false},
		ResetBefore: {0, true, false},
		ResetAfter:  {0, true, true},
		Slow:        {200, false, true},
		Replace:     {418, false, false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			target, calls := backend(t)
			p := Start(t, target)
			p.Set(Rule{Kind: kind, Rate: 10 << 20, Times: 1, Answer: Answer{Status: 418}})
			resp, _, err := post(t, p.URL(), body)
			if c.reset != (err != nil) || err == nil && resp.StatusCode != c.status {
				t.Errorf("%v, %v", resp, err)
			}
			if (calls.Load() == 1) != c.reaches {
				t.Errorf("the backend got %d requests", calls.Load())
			}
			if n := p.Faults()[kind]; kind != None && n != 1 {
				t.Errorf("%d faults counted", n)
			}
			if _, got, err := post(t, p.URL(), body); err != nil || got != body {
				t.Errorf("the next request: %v", err)
			}
		})
	}
}

func TestATruncatedBodyHasItsHalf(t *testing.T) {
	target, _ := backend(t)
	p := Start(t, target)
	p.Set(Rule{Kind: Truncate})
	resp, got, err := post(t, p.URL(), strings.Repeat("x", 1000))
	if resp == nil || resp.ContentLength != 1000 || len(got) != 500 || err == nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestSilentFaultsEndWithTheClientOrTheProxy(t *testing.T) {
	for kind, reaches := range map[Kind]int64{Hang: 0, LostAnswer: 1} {
		t.Run(string(kind), func(t *testing.T) {
			target, calls := backend(t)
			p := Start(t, target)
			p.Set(Rule{Kind: kind})
			silent := func(n int64) func() bool {
				return func() bool { return p.Faults()[kind] == n && calls.Load() == n*reaches }
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.URL(), bytes.NewReader(make([]byte, 1<<20)))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := http.DefaultClient.Do(req)
				done <- err
			}()
			eventually(t, "the first request meets the fault", silent(1))
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("the client gave up and got %v", err)
			}
			go func() {
				_, _, err := post(t, p.URL(), "x")
				done <- err
			}()
			eventually(t, "the second request meets the fault", silent(2))
			p.Down()
			select {
			case err := <-done:
				if err == nil {
					t.Error("an answer came")
				}
			case <-time.After(time.Minute):
				t.Error("the request goes on though the proxy is down")
			}
		})
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("within a minute it did not come true that %s", what)
		}
	}
}

func TestDownRefusesAndUpComesBackOnTheSamePort(t *testing.T) {
	target, _ := backend(t)
	p := Start(t, target)
	for range 3 {
		p.Down()
		if _, _, err := post(t, p.URL(), "x"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("while down: %v", err)
		}
		if err := p.Up(); err != nil {
			t.Fatal(err)
		}
		if _, got, err := post(t, p.URL(), "x"); err != nil || got != "x" {
			t.Errorf("up again: %v", err)
		}
	}
}

func TestRulesApplyInOrderAndAreUsedUp(t *testing.T) {
	target, _ := backend(t)
	p := Start(t, target)
	p.Set(
		Rule{Kind: Status500, Match: Op("CompleteMultipartUpload")},
		Rule{Kind: SlowDown, Skip: 1, Times: 2},
		Rule{Kind: TooMany, Times: 1},
	)
	var got []int
	for range 5 {
		resp, _, err := post(t, p.URL(), "x")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, resp.StatusCode)
	}
	// The first passes the second rule, and meets the third.
	want := []int{429, 503, 503, 200, 200}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if resp, _, err := post(t, p.URL()+"/?uploadId=1", ""); err != nil ||
		resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestRandomFaultsAreThoseOfTheSeed(t *testing.T) {
	target, _ := backend(t)
	sequence := func(seed uint64) (s string) {
		p := Start(t, target)
		p.Random(seed, 0.5, Status500, TooMany)
		for range 40 {
			resp, _, err := post(t, p.URL(), "x")
			if err != nil {
				t.Fatal(err)
			}
			s += resp.Status[:1]
		}
		return s
	}
	first := sequence(1)
	if first != sequence(1) || first == sequence(2) || !strings.Contains(first, "2") || !strings.Contains(first, "4") ||
		!strings.Contains(first, "5") {
		t.Errorf("sequence %s", first)
	}
}

func TestOperation(t *testing.T) {
	for request, want := range map[string]string{
		"PUT /b/k": "PutObject", "PUT /b/k?partNumber=1&uploadId=x": "UploadPart",
		"POST /b/k?uploads=":   "CreateMultipartUpload",
		"POST /b/k?uploadId=x": "CompleteMultipartUpload", "DELETE /b/k?uploadId=x": "AbortMultipartUpload",
		"DELETE /b/k":     "DeleteObject",
		"GET /b?uploads=": "ListMultipartUploads", "GET /b?list-type=2": "ListObjectsV2", "GET /b/k": "GetObject",
		"HEAD /b/k": "HEAD",
	} {
		method, uri, _ := strings.Cut(request, " ")
		if got := Operation(httptest.NewRequest(method, uri, nil)); got != want {
			t.Errorf("%s is %s, want %s", request, got, want)
		}
	}
}
