package pebble

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/dittofs/dittofs/internal/meta"
)

// small makes a store rotate its log and flush every few batches.
var small = Options{Logger: quiet.Logger, MemTableBytes: 64 << 10}

func batch(i int) *meta.Batch {
	b := &meta.Batch{}
	b.Put(fmt.Appendf(nil, "k%05d", i), make([]byte, 5000))
	b.Put([]byte("last"), fmt.Appendf(nil, "%d", i))
	return b
}

// fill applies batches until one fails, or n of them.
func fill(s *Store, n int) (acknowledged int, err error) {
	for i := range n {
		if err := s.Apply(context.Background(), batch(i)); err != nil {
			return i, err
		}
	}
	return n, nil
}

// checkKept opens what a crash leaves of fs: all that was acknowledged, whole
// batches, and nothing behind a gap.
func checkKept(t *testing.T, fs vfs.FS, acknowledged int) {
	t.Helper()
	s, err := open("meta", fs, nil, small)
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	pairs, err := s.Scan(t.Context(), meta.PrefixRange([]byte("k")), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(pairs) < acknowledged {
		t.Errorf("%d batches kept, %d were acknowledged", len(pairs), acknowledged)
	}
	for i, p := range pairs {
		if string(p.Key) != fmt.Sprintf("k%05d", i) {
			t.Fatalf("batch %d is missing", i)
		}
	}
	last, err := s.Get(t.Context(), []byte("last"))
	if err != nil || len(pairs) > 0 && string(last[0]) != fmt.Sprint(len(pairs)-1) {
		t.Errorf("last is %q with %d batches, %v", last[0], len(pairs), err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestADiskThatFailsAtAnyWriteIsAnErrorAndLosesNothing(t *testing.T) {
	const batches = 120
	for failAt := int32(0); ; failAt += 3 {
		mem := vfs.NewCrashableMem()
		if err := mem.MkdirAll("meta", 0o700); err != nil {
			t.Fatal(err)
		}
		var writes, injected atomic.Int32
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose {
				return nil
			}
			if n := writes.Add(1); n <= failAt {
				return nil
			}
			injected.Add(1)
			return syscall.ENOSPC // from now on, for good
		}))
		acknowledged := 0
		o := small
		o.stallLimit = 100 * time.Millisecond
		s, err := open("meta", fs, nil, o)
		if err == nil {
			acknowledged, err = fill(s, batches)
		}
		if err != nil && injected.Load() == 0 {
			t.Fatalf("failing at write %d: %v before anything was injected", failAt, err)
		}
		if s != nil && err != nil {
			checkSticks(t, s, err)
		}
		percent := rand.IntN(101)
		clone := mem.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(failAt), 1)),
		})
		if s == nil && !exists(clone, "meta") {
			continue // a crash before the directory itself was durable
		}
		checkKept(t, clone, acknowledged)
		if t.Failed() {
			t.Fatalf("failing at write %d, with %d%% of what was not synced", failAt, percent)
		}
		if err == nil {
			return // the workload needs no more writes than that
		}
	}
}

func exists(fs vfs.FS, name string) bool {
	_, err := fs.Stat(name)
	return err == nil
}

func checkSticks(t *testing.T, s *Store, cause error) {
	t.Helper()
	if !errors.Is(cause, syscall.ENOSPC) {
		t.Errorf("apply: %v", cause)
	}
	if err := s.Apply(t.Context(), batch(0)); err == nil {
		t.Error("a batch was accepted after a failure")
	}
	if _, err := s.Get(t.Context(), []byte("last")); err == nil {
		t.Error("a read was answered after a failure")
	}
	if err := s.Close(); err == nil {
		t.Error("close after a failure reports none")
	}
}

func TestAFullDiskHoldsBackUntilThereIsSpaceAgain(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("meta", 0o700); err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
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
	start := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := fill(s, 200)
		done <- err
	}()
	for end := time.Now().Add(time.Minute); s.Metrics().BackgroundErrors < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d attempts to write a table to a full disk in a minute", s.Metrics().BackgroundErrors)
		}
	}
	if took := time.Since(start); took < 2*retryPause {
		t.Errorf("4 attempts in %v: a busy loop", took)
	}
	full.Store(false)
	if err := <-done; err != nil {
		t.Fatalf("apply: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	checkKept(t, mem.CrashClone(vfs.CrashCloneCfg{}), 200)
}

func TestAnIdleStoreLeavesTheDiskAlone(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("meta", 0o700); err != nil {
		t.Fatal(err)
	}
	var ops atomic.Int64
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(errorfs.Op) error {
		ops.Add(1)
		return nil
	}))
	s, err := open("meta", fs, nil, small)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fill(s, 100); err != nil {
		t.Fatal(err)
	}
	before, quietFor := ops.Load(), 0
	for deadline := time.Now().Add(time.Minute); quietFor < 20; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the store does not come to rest")
		}
		quietFor++
		if now := ops.Load(); now != before {
			before, quietFor = now, 0
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestPebblesWishToEndTheProcessIsAnError(t *testing.T) {
	w := newWatch(quiet.Logger)
	gone := errors.New("manifest is gone")
	err := w.run(func() error {
		logger{w}.Fatalf("MANIFEST write failed: %s", gone)
		return nil
	})
	if !errors.Is(err, gone) || !errors.Is(w.err(), gone) {
		t.Errorf("%v, then %v", err, w.err())
	}
}

func TestAMetadataStoreWaitsForADescriptorAndGoesOn(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("meta", 0o700); err != nil {
		t.Fatal(err)
	}
	var scarce, refused atomic.Int32
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpOpen, errorfs.OpOpenDir, errorfs.OpReuseForWrite:
			if scarce.Add(-1) >= 0 {
				refused.Add(1)
				return syscall.EMFILE
			}
		}
		return nil
	}))
	s, err := open("meta", fs, nil, small)
	if err != nil {
		t.Fatal(err)
	}
	const batches = 300
	for i := range batches {
		if i%20 == 0 {
			scarce.Store(3) // the next three files that are wanted
		}
		if err := s.Apply(t.Context(), batch(i)); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	scarce.Store(0)
	if refused.Load() < 10 {
		t.Errorf("%d files were refused: nothing was tested", refused.Load())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	checkKept(t, mem, batches)
}
