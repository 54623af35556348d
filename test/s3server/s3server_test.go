package s3server

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

func get(url string) error {
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestAStoppedServerComesBackWithItsObjects(t *testing.T) {
	s := Start(t, Options{})
	bucket := s.Bucket(t)
	path := filepath.Join(s.BucketDir(bucket), "object")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoint := s.Endpoint
	for range 2 {
		if err := get(endpoint); err != nil {
			t.Fatalf("while it runs: %v", err)
		}
		if err := s.Resume(); err == nil {
			t.Error("a running server was started again")
		}
		s.Stop()
		s.Stop()
		if err := get(endpoint); err == nil {
			t.Error("a stopped server answers")
		}
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if s.Endpoint != endpoint {
		t.Errorf("endpoint %s, was %s", s.Endpoint, endpoint)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	s := Start(t, Options{})
	dir := t.TempDir()
	if _, err := Launch(dir, Options{
		CertFile: filepath.Join(dir, "absent"), KeyFile: filepath.Join(dir, "absent"),
	}); err == nil {
		t.Errorf("a second server without its certificate runs beside %s", s.Endpoint)
	} else {
		t.Log(err)
	}
}
