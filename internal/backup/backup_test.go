package backup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs"
)

func TestARestoredStoreServesWhatTheBackupHad(t *testing.T) {
	w := newWorld(t, 3)
	ids := map[int]vfs.ID{}
	for i := range 50 {
		ids[i] = w.write(fmt.Sprint("file", i), body(i))
	}
	made := w.backup()
	w.write("file3", body(1000))
	w.remove("file4")
	late := w.write("late", body(7))
	// The space of what the backup refers to is not given back.
	w.fatal(w.data.Collect(t.Context(), 1, func(data.Progress) error { return nil }))

	w.open(w.restore(made.Name), 3)
	for i, id := range ids {
		w.expect(id, body(i))
	}
	if _, err := w.fs.GetAttr(w.req, late); !errors.Is(err, vfs.ESTALE) {
		t.Errorf("a file from after the backup: %v", err)
	}
	again := w.write("again", body(8))
	w.expect(again, body(8))
	if next := w.backup(); next.Number != made.Number+1 || next.Epoch <= made.Epoch || next.Generation != 1 {
		t.Errorf("the next backup is number %d of epoch %d, generation %d", next.Number, next.Epoch, next.Generation)
	}
}

func TestABackupWhileWritersRunIsConsistent(t *testing.T) {
	w := newWorld(t, 10)
	var wg sync.WaitGroup
	done := make(chan struct{})
	var written, removed atomic.Int64
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if _, err := w.tryWrite(fmt.Sprintf("w%d-%d", i, n%20), body(n)); err != nil {
					t.Error(err)
					return
				}
				written.Add(1)
				if n%3 == 0 {
					if _, err := w.fs.Remove(w.req, w.root, fmt.Sprintf("w%d-%d", i, n%20)); err != nil {
						t.Error(err)
						return
					}
					removed.Add(1)
				}
			}
		})
	}
	defer wg.Wait()
	defer close(done)
	for range 8 {
		before := written.Load()
		made := w.backup()
		w.restore(made.Name)
		w.eventually("writers that go on", func() bool { return written.Load() > before+10 || t.Failed() })
	}
	if removed.Load() == 0 {
		t.Error("nothing was removed meanwhile")
	}
}

func TestASecondBackupWritesOnlyWhatChanged(t *testing.T) {
	w := newWorld(t, 3)
	for n := 0; n < 100_000; n += 1000 {
		b := &meta.Batch{}
		for i := n; i < n+1000; i++ {
			b.Put(fmt.Appendf(nil, "z/%08d", i), fmt.Appendf(nil, "value %x of a key that is like no other", i*7919))
		}
		w.fatal(w.log.Apply(b))
	}
	first := w.backup()
	b := &meta.Batch{}
	b.Put([]byte("z/00050000"), []byte("changed"))
	b.Put([]byte("z/00070000x"), []byte("new"))
	b.Delete([]byte("z/00090000"))
	w.fatal(w.log.Apply(b))
	second := w.backup()
	if second.Written == 0 || second.Written > first.Written/4 || second.Bytes() < first.Bytes()/2 {
		t.Errorf("the first backup wrote %d bytes, the second %d of %d", first.Written, second.Written, second.Bytes())
	}
	third := w.backup()
	if third.Written != 0 {
		t.Errorf("nothing was changed, and %d bytes were written", third.Written)
	}
	w.restore(second.Name)
	w.restore(first.Name)
	t.Logf("written: %d, then %d after three changes, of %d", first.Written, second.Written, second.Bytes())
}

func TestOldBackupsGoWithWhatOnlyTheyReferTo(t *testing.T) {
	w := newWorld(t, 2)
	w.write("old", body(1))
	first := w.backup()
	w.remove("old")
	w.write("new", body(2))
	w.backup()
	if n := len(w.objects.names(t, first.Segments[0].ID.Object())); n != 1 {
		t.Fatal("the segment of a file that only a backup has is gone")
	}
	w.write("newer", body(3))
	third := w.backup()
	entries, err := backup.List(t.Context(), w.objects)
	w.fatal(err)
	if len(entries) != 2 || entries[1].Name != third.Name || w.maker.Status().Kept != 2 {
		t.Errorf("%d backups are kept, the metrics say %d", len(entries), w.maker.Status().Kept)
	}
	referred := map[string]bool{}
	for _, e := range entries {
		for _, c := range e.Chunks {
			referred[fmt.Sprintf("backups/chunks/%x", c.Sum)] = true
		}
	}
	if names := w.objects.names(t, "backups/chunks/"); len(names) != len(referred) {
		t.Errorf("%d chunks, %d are referred to", len(names), len(referred))
	}
	w.eventually("the deletion of the old segment", func() bool {
		return len(w.objects.names(t, first.Segments[0].ID.Object())) == 0
	})
}

func TestABackupThatFailsLeavesNoneAndTheNextTidiesUp(t *testing.T) {
	w := newWorld(t, 2)
	w.write("file", body(1))
	before := w.backup()
	w.write("file", body(2))
	w.objects.fail(errors.New("no space left in the bucket"))
	if _, err := w.maker.Run(t.Context(), nil); err == nil ||
		!strings.Contains(err.Error(), "no space left in the bucket") {
		t.Errorf("a backup to a full store: %v", err)
	}
	if s := w.maker.Status(); s.Failed != 1 || !s.RecoveryPoint.Equal(before.Moment) || s.LastErr == nil ||
		!strings.Contains(s.LastErr.Error(), "no space left in the bucket") {
		t.Errorf("after a failure: %+v", s)
	}
	w.objects.heal()
	w.write("file", body(3)) // the server goes on
	w.objects.replace(t, "backups/chunks/"+strings.Repeat("ab", 32), "left by a backup that was cut off")
	made := w.backup()
	if s := w.maker.Status(); s.LastErr != nil || !s.RecoveryPoint.Equal(made.Moment) {
		t.Errorf("after the next one: %+v", s)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.maker.Run(stopped, nil); err == nil {
		t.Error("a backup was made for somebody who is gone")
	}
	if s := w.maker.Status(); s.LastErr != nil {
		t.Errorf("one that was stopped counts as failed: %v", s.LastErr)
	}
	if w.objects.names(t, "backups/chunks/"+strings.Repeat("ab", 32)) != nil {
		t.Error("a chunk that nothing refers to is left")
	}
	w.restore(made.Name)
}

func TestNothingIsWrittenWhenNothingWasChanged(t *testing.T) {
	w := newWorld(t, 2)
	w.write("file", body(1))
	w.backup()
	w.eventually("quiet", func() bool {
		made, err := w.maker.RunIfChanged(t.Context())
		w.fatal(err)
		return made == nil
	})
	names, point := w.objects.names(t, "backups/"), w.maker.Status().RecoveryPoint
	made, err := w.maker.RunIfChanged(t.Context())
	if err != nil || made != nil || len(w.objects.names(t, "backups/")) != len(names) {
		t.Errorf("%+v, %v", made, err)
	}
	if !w.maker.Status().RecoveryPoint.After(point) {
		t.Error("everything is in a backup, but the recovery point stands still")
	}
	w.write("file", body(2))
	if made, err := w.maker.RunIfChanged(t.Context()); err != nil || made == nil {
		t.Errorf("after a change: %+v, %v", made, err)
	}
}

func TestABackupThatCannotBeReadKeepsEverythingUntilItGoes(t *testing.T) {
	w := newWorld(t, 2)
	id := w.write("file", body(1))
	first := w.backup()
	w.objects.replace(t, "backups/manifests/"+first.Name, "not a manifest")
	w.remove("file")
	_ = id
	w.write("other", body(2))
	second := w.backup()
	entries, err := backup.List(t.Context(), w.objects)
	if err != nil || len(entries) != 2 || !errors.Is(entries[0].Err, backup.ErrDamaged) || entries[1].Name != second.Name {
		t.Fatalf("%+v, %v", entries, err)
	}
	if !w.maker.Pinned(first.Segments[0].ID) || len(w.objects.names(t, first.Segments[0].ID.Object())) != 1 {
		t.Error("nobody knows what a damaged manifest refers to, and a segment is gone")
	}
	for i := range 2 {
		w.write("other", body(3+i))
		w.backup()
	}
	w.eventually("the deletion of the first segment",
		func() bool { return len(w.objects.names(t, first.Segments[0].ID.Object())) == 0 })
}
