package gc

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/cachedir"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/data/journal"
	"github.com/dittofs/dittofs/internal/data/pagecache"
	"github.com/dittofs/dittofs/internal/data/worker"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/memory"
)

// index is one in memory, whose counters are 0.
type index struct{ *memory.Store }

func (index) Epoch() uint64                                  { return 2 }
func (index) Counter(context.Context, []byte) (int64, error) { return 0, nil }
func (i index) Apply(b *meta.Batch) error                    { return i.Store.Apply(context.Background(), b) }
func (i index) state(t *testing.T, id format.SegmentID) []byte {
	got, err := i.Get(t.Context(), format.SegmentKey(id))
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

// nobody owns a journal that is not written.
type nobody struct{ journal.Owner }

func (nobody) Evict(int64) int64 { return 0 }

// slow is a content store in which a deletion takes until it is told to go on, or its
// context ends.
type slow struct {
	content.Store
	begun, proceed chan struct{}
}

func (s slow) Delete(ctx context.Context, _ string) error {
	close(s.begun)
	select {
	case <-s.proceed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newParts returns a collector and a compactor that do nothing on their own, over an
// index of one stored segment that no file uses.
func newParts(t *testing.T, c content.Store, pinned func(format.SegmentID) bool) (index, *Collector, *Compactor) {
	const instance = "0123456789abcdef0123456789abcdef"
	failure, tasks := worker.NewFailure(func(err error) { t.Error(err) }), worker.NewTasks()
	t.Cleanup(tasks.Close)
	dir, err := cachedir.Open(disk.OS{}, t.TempDir(), instance, false, failure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	in := index{memory.Open()}
	b := &meta.Batch{}
	entry := format.SegmentEntry{State: format.Stored, Size: 1000, Payload: 900}
	b.Put(format.SegmentKey(deadSegment), entry.Encode())
	if err := in.Apply(b); err != nil {
		t.Fatal(err)
	}
	j := journal.New(journal.Options{
		Dir: dir, Instance: instance, Index: in, Owner: nobody{}, Tasks: tasks, Failure: failure, Logger: slog.Default(),
		CacheSize: 1 << 20, SegmentSize: 1 << 16, MaxFiles: 8,
	})
	if err := j.Recovery().Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	cache := pagecache.New(pagecache.Options{Content: c, Disk: disk.OS{}, Path: dir.File, Room: j.Budget()})
	pins := NewPins(pinned)
	return in,
		NewCollector(CollectorOptions{
			Journal: j, Index: in, Content: c, Cache: cache, Pins: pins, Tasks: tasks, Failure: failure, Logger: slog.Default(),
		}),
		NewCompactor(CompactorOptions{Journal: j, Pins: pins, Tasks: tasks, Failure: failure, Logger: slog.Default()})
}

var deadSegment = format.NewSegmentID(1, 1)

func TestADeletionGoesOnWhenWhoAskedForItIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slow{begun: make(chan struct{}), proceed: make(chan struct{})}
		in, collector, compactor := newParts(t, c, nil)
		collector.Reconsider()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Collect(ctx, collector, compactor, 1, func(Progress) error { return nil }) }()
		<-c.begun
		cancel()
		synctest.Wait()
		close(c.proceed)
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if entry := in.state(t, deadSegment); entry != nil {
			t.Errorf("the index still has the segment: %x", entry)
		}
	})
}

// The backup that is being made may refer to any segment.
func TestNothingIsDeletedWhileAllIsPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slow{begun: make(chan struct{}), proceed: make(chan struct{})}
		in, collector, compactor := newParts(t, c, nil)
		collector.Reconsider()
		collecting := make(chan error, 1)
		collect := func() {
			collecting <- Collect(t.Context(), collector, compactor, 1, func(Progress) error { return nil })
		}
		go collect()
		<-c.begun
		pinned := make(chan func(), 1)
		go func() {
			release, err := collector.PinAll(t.Context())
			if err != nil {
				t.Error(err)
			}
			pinned <- release
		}()
		synctest.Wait()
		select {
		case <-pinned:
			t.Fatal("everything is pinned while a deletion is under way")
		default:
		}
		close(c.proceed)
		release := <-pinned
		if err := <-collecting; err != nil {
			t.Error(err)
		}
		if in.state(t, deadSegment) != nil {
			t.Error("the deletion that was under way did not end")
		}
		release()
	})
}

func TestWhatABackupRefersToIsNotDeleted(t *testing.T) {
	kept := true
	c := slow{begun: make(chan struct{}), proceed: make(chan struct{})}
	close(c.proceed)
	in, collector, compactor := newParts(t, c, func(format.SegmentID) bool { return kept })
	collect := func() {
		collector.Reconsider()
		if err := Collect(t.Context(), collector, compactor, 1, func(Progress) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	collect()
	if in.state(t, deadSegment) == nil {
		t.Fatal("it was deleted")
	}
	kept = false
	collect()
	if in.state(t, deadSegment) != nil {
		t.Error("it was not deleted when the backup was gone")
	}
}
