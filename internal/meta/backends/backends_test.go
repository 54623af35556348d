package backends

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/backend"
	"github.com/dittofs/dittofs/test/pgserver"
)

// place returns settings of a store that has yet to be made.
func place(t *testing.T, b backend.Backend) (s backend.Settings) {
	t.Helper()
	if b.Local {
		s.Path = filepath.Join(t.TempDir(), "metadata")
	}
	if b.Key == "dsn_file" {
		server := pgserver.Shared(t)
		s.DSNFile = filepath.Join(t.TempDir(), "dsn")
		if err := os.WriteFile(s.DSNFile, []byte(server.DSN(server.NewDatabase(t))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestEveryStoreIsWhatItsDescriptorSays(t *testing.T) {
	for _, b := range All() {
		t.Run(b.Name, func(t *testing.T) {
			s := place(t, b)
			if b.Volatile != (b.OpenReadOnly == nil) {
				t.Error("what is volatile cannot be opened as it was left, and what is not can")
			}
			if b.Local != (b.Files.Most > 0) || b.Local && b.Connections != nil {
				t.Errorf("descriptors: a local store has files and no connections, here %+v", b.Files)
			}
			if !b.Volatile {
				if _, err := b.OpenReadOnly(t.Context(), s, discard()); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("reading a store that is not there: %v, want fs.ErrNotExist", err)
				}
			}
			if !b.Local && !b.Volatile {
				_, err := b.Open(t.Context(), s, backend.Options{Existing: true, Logger: discard()})
				if at := fault.Of(err); at == nil || at.Reason != fault.StoreEmpty {
					t.Errorf("opening what is expected to exist and does not: %v, want the fault %s", err, fault.StoreEmpty)
				}
			}
			if epoch := write(t, b, s, 1); epoch != 1 {
				t.Errorf("the first owner has epoch %d, want 1", epoch)
			}
			if b.Volatile {
				return
			}
			left, err := b.OpenReadOnly(t.Context(), s, discard())
			if err != nil {
				t.Fatal(err)
			}
			got, err := left.Get(t.Context(), []byte("key"))
			if err := errors.Join(err, left.Close()); err != nil || string(got[0]) != "value" {
				t.Errorf("what was left is %q, %v", got, err)
			}
			if epoch := write(t, b, s, 70); epoch < 70 {
				t.Errorf("an owner with at least epoch 70 has %d", epoch)
			}
		})
	}
}

// write owns the store for a moment, with at least that epoch.
func write(t *testing.T, b backend.Backend, s backend.Settings, least uint64) (epoch uint64) {
	t.Helper()
	store, err := b.Open(t.Context(), s, backend.Options{MinEpoch: least, Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	if b.Figures != nil {
		for _, f := range b.Figures(store) {
			if f.Name == "" || f.Help == "" || f.Read() < 0 {
				t.Errorf("figure %+v", f)
			}
		}
	}
	if !b.Volatile { // it is owned alone
		if other, err := b.Open(t.Context(), s, backend.Options{Logger: discard()}); !errors.Is(err, meta.ErrLocked) {
			t.Errorf("a second owner: %v, want meta.ErrLocked", err)
			if err == nil {
				_ = other.Close()
			}
		}
	}
	batch := &meta.Batch{}
	batch.Put([]byte("key"), []byte("value"))
	if err := store.Apply(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	return store.Epoch()
}

func TestNamesOfStoresAreTheirOwn(t *testing.T) {
	var names []string
	for _, b := range All() {
		names = append(names, b.Name)
		if b.Key == "" || b.Open == nil {
			t.Errorf("%q has no key or cannot be opened", b.Name)
		}
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(names))); !slices.Equal(names, sorted) {
		t.Errorf("stores are %v, want %v", names, sorted)
	}
	if b := backend.Find(All(), "none of them"); b.Open != nil || b.Place(backend.Settings{}) != "none of them" {
		t.Errorf("a store that nobody knows is %+v", b)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
