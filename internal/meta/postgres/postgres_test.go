package postgres

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/metatest"
	"github.com/dittofs/dittofs/test/pgserver"
)

func TestMain(m *testing.M) { pgserver.Main(m) }

func TestKeepsTheContractOfMetadataStores(t *testing.T) {
	server := pgserver.Shared(t)
	metatest.Run(t, func(t *testing.T) (meta.Store, func() meta.Store) {
		o := options(t, server.DSN(server.NewDatabase(t)))
		openAgain := func() meta.Store { return open(t, o) }
		return openAgain(), openAgain
	})
}

// options of a store that is quick to find faults.
func options(t testing.TB, dsn string) Options {
	t.Helper()
	return Options{
		DSNFile:    dsnFile(t, dsn),
		OwnerLease: 2 * time.Second,
		Logger:     slog.New(slog.DiscardHandler),
		Holder:     "host-a/1",
		try:        2 * time.Second,
		readLimit:  10 * time.Second,
	}
}

func dsnFile(t testing.TB, dsn string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(path, []byte(dsn), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	return s
}

// closeAtEnd closes a store that the test may have closed, or that was fenced.
func closeAtEnd(t testing.TB, s *Store) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, meta.ErrClosed) && !errors.Is(err, meta.ErrFenced) {
			t.Errorf("close: %v", err)
		}
	})
}

func put(pairs ...string) *meta.Batch {
	b := &meta.Batch{}
	for i := 0; i < len(pairs); i += 2 {
		b.Put([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return b
}

func mustApply(t testing.TB, s *Store, b *meta.Batch) {
	t.Helper()
	if err := s.Apply(context.Background(), b); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func mustGet(t testing.TB, s *Store, key string) string {
	t.Helper()
	values, err := s.Get(context.Background(), []byte(key))
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return string(values[0])
}

// expect checks the value of a key.
func expect(t testing.TB, s *Store, key, want string) {
	t.Helper()
	if got := mustGet(t, s, key); got != want {
		t.Errorf("%s is %q, want %q", key, got, want)
	}
}

// ended waits for a call that has to end, and returns its error.
func ended(t testing.TB, what string, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain until %s", what)
		return nil
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
