package pebble

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/dittofs/dittofs/internal/fault"
)

// withoutTables is a store that cannot write tables while full is set, and has as many batches as it takes in memory.
func withoutTables(t *testing.T, full *atomic.Bool) (s *Store, held <-chan error, giveUp func()) {
	t.Helper()
	mem := vfs.NewMem()
	if err := mem.MkdirAll("meta", 0o700); err != nil {
		t.Fatal(err)
	}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite && filepath.Ext(op.Path) == ".sst" {
			return syscall.ENOSPC
		}
		return nil
	}))
	s, err := open("meta", fs, nil, small)
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 1000 && err == nil; i++ {
			err = s.Apply(ctx, batch(i))
		}
		done <- err
	}()
	eventually(t, "batches wait", func() bool { return s.watch.waiting.Load() > 0 && s.watch.unflushed.Load() != nil })
	return s, done, cancel
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in a minute: ", what)
		}
	}
}

func TestAStoreThatCannotWriteTablesSaysSoAndThatItCanAgain(t *testing.T) {
	var full atomic.Bool
	s, held, cancel := withoutTables(t, &full)
	defer cancel()
	f := fault.Of(s.Check(t.Context()))
	if f == nil || f.Store != "metadata" || f.Reason != fault.StoreFailing || !errors.Is(f, syscall.ENOSPC) ||
		!strings.Contains(f.Message, "make room") {
		t.Errorf("while it cannot: %+v", f)
	}
	full.Store(false)
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is well again", func() bool { return s.Check(t.Context()) == nil })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAFlushOfNothingIsNoFault(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("meta", 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := open("meta", mem, nil, small)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("key")
	for range 3 {
		if err := errors.Join(s.db.Set(key, key, nil), s.db.Delete(key, nil), s.db.Flush()); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	s.watch.flushEnd(pebble.FlushInfo{Err: errors.New(emptyTable)})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestABatchThatHangsIsGivenUpAndSoIsTheStore(t *testing.T) {
	var full atomic.Bool
	s, held, cancel := withoutTables(t, &full)
	began := time.Now()
	cancel()
	if err := <-held; !errors.Is(err, context.Canceled) {
		t.Errorf("the batch: %v", err)
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "not closed in good order") {
		t.Errorf("close: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if f := fault.Of(s.Check(t.Context())); f == nil {
		t.Error("it is said to be well")
	}
	full.Store(false)
}

func TestBatchesWaitForCompactionsOnlyWhileThereIsLittleRoom(t *testing.T) {
	for name, c := range map[string]struct {
		free       uint64
		err        error
		compacting bool
		want       time.Duration
	}{
		"room":            {free: 8 << 20, compacting: true},
		"little":          {free: 8<<20 - 1, compacting: true, want: roomPatience},
		"nothing at work": {free: 0},
		"no answer":       {err: errors.New("unknown"), compacting: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(vfs.NewMem(), "meta", 32<<20)
				r.free = func() (uint64, error) { return c.free, c.err }
				if c.compacting {
					r.begin(pebble.CompactionInfo{})
				}
				began := time.Now()
				r.await()
				if took := time.Since(began); took != c.want {
					t.Errorf("waited %v, want %v", took, c.want)
				}
				// As soon as they are done, it goes on.
				if c.want > 0 {
					time.AfterFunc(roomPatience/4, func() { r.end(pebble.CompactionInfo{}) })
					time.Sleep(roomPause)
					began = time.Now()
					if r.await(); time.Since(began) > roomPatience/2 {
						t.Errorf("waited %v after compactions were done", time.Since(began))
					}
				}
			})
		})
	}
}
