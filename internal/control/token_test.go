package control_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/control"
)

func TestOverTCPOnlyTheTokenOpensTheDoor(t *testing.T) {
	s := control.NewServer(control.Options{})
	s.Handle("count", count)
	s.Ready()
	file := filepath.Join(t.TempDir(), "token")
	h := httptest.NewServer(s.WithToken(file))
	defer h.Close()
	token := strings.Repeat("s3cret-", 5)
	status := func(header string) int {
		req, err := http.NewRequest(http.MethodPost, h.URL+"/v1/count", strings.NewReader("1"))
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || strings.Contains(string(text), token) {
			t.Errorf("%s %v", text, err)
		}
		return resp.StatusCode
	}
	if got := status("Bearer " + token); got != http.StatusServiceUnavailable {
		t.Errorf("without a file: %d", got)
	}
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]int{
		"Bearer " + token: 200, "bearer " + token: 200, "": 401, "Bearer": 401, "Basic " + token: 401,
		"Bearer " + token + "x": 401, "Bearer " + token[1:]: 401, token: 401, "Bearer " + strings.ToUpper(token): 401,
		"Bearer" + " ": 401,
	} {
		if got := status(header); got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
	// The file is read again, so that a token can be changed while serving.
	if err := os.WriteFile(file, []byte(strings.Repeat("other-", 5)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := control.HTTP(h.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	var refused *control.Refused
	if _, err := call(t, c, "count", 1); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("an old token: %v", err)
	}
	if c, err = control.HTTP(h.URL, strings.Repeat("other-", 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, c, "count", 1); err != nil {
		t.Errorf("the new token: %v", err)
	}
}

func TestATokenIsOneWordOfSomeLength(t *testing.T) {
	for text, want := range map[string]string{
		"": "has 0 characters; at least 16", "short\n": "has 5 characters", strings.Repeat("x", 4097): "longer than 4096",
		"two words of some length": "is not one word", "tö-" + strings.Repeat("x", 20): "is not one word",
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := control.ReadToken(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
