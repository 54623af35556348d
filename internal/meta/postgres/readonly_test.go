package postgres

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/test/pgserver"
)

func TestADatabaseIsReadWithoutAnOwnershipWhileNobodyHasOne(t *testing.T) {
	server := pgserver.Shared(t)
	o := options(t, server.DSN(server.NewDatabase(t)))
	if _, err := OpenReadOnly(t.Context(), o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database without tables: %v", err)
	}
	s := open(t, o)
	mustApply(t, s, put("a", "1"))
	if _, err := OpenReadOnly(t.Context(), o); !errors.Is(err, meta.ErrLocked) ||
		!strings.Contains(err.Error(), "is in use by") {
		t.Errorf("beside its owner: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReadOnly(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(t.Context()); err != nil {
		t.Errorf("nobody has come: %v", err)
	}
	next := open(t, o)
	if next.Epoch() != s.Epoch()+1 {
		t.Errorf("reading began an epoch: %d after %d", next.Epoch(), s.Epoch())
	}
	mustApply(t, next, put("a", "2"))
	got, err := r.Get(t.Context(), []byte("a"), []byte("b"))
	if err != nil || string(got[0]) != "1" || got[1] != nil {
		t.Errorf("%q, %v", got, err)
	}
	pairs, err := r.Scan(t.Context(), meta.Range{}, 10)
	if err != nil || len(pairs) != 1 || string(pairs[0].Value) != "1" {
		t.Errorf("%v, %v", pairs, err)
	}
	if err := r.Check(t.Context()); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("a server has come: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Get(t.Context(), []byte("a")); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}
