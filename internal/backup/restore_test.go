package backup_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/backup"
	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs"
)

// refuses restores what must be refused before anything is opened.
func (w *world) refuses(what string, want error, text string) {
	w.Helper()
	store := newKept()
	_, err := backup.Restore(w.Context(), backup.RestoreOptions{Content: w.objects, Open: store.open})
	if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		w.Errorf("%s: %v; want %v, with %q", what, err, want, text)
	}
	if store.opened > 0 {
		w.Errorf("%s: the metadata store was opened", what)
	}
}

func TestABackupThatIsNotWholeIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	w := newWorld(t, 2)
	w.refuses("no backup", backup.ErrNone, "no backup")
	w.write("file", body(1))
	made := w.backup()
	all := append(w.objects.names(t, "backups/"), made.Segments[0].ID.Object())
	for _, id := range all {
		whole := w.objects.read(t, id)
		want := backup.ErrDamaged
		if strings.HasPrefix(id, "segments/") {
			want = backup.ErrMissing
		}
		w.objects.replace(t, id, whole[:len(whole)-1])
		w.refuses(id+" truncated", want, made.Name)
		if want == backup.ErrDamaged {
			w.objects.replace(t, id, whole[:len(whole)/2]+string(whole[len(whole)/2]^1)+whole[len(whole)/2+1:])
			w.refuses(id+" changed", want, made.Name)
		}
		w.objects.replace(t, id, whole)
	}
	id := "backups/manifests/" + made.Name
	whole := w.objects.read(t, id)
	w.objects.replace(t, id, whole[:18]+"\x02"+whole[19:])
	w.refuses("a newer format", backup.ErrFormat, "format 2, this version of dittofs knows 1")
	w.objects.replace(t, id, whole)
	w.fatal(w.objects.Delete(t.Context(), w.objects.names(t, "backups/chunks/")[0]))
	w.refuses("a chunk is gone", backup.ErrDamaged, "backups/chunks/")
}

func TestARestoreCanDoWithoutMissingSegmentsIfItIsTold(t *testing.T) {
	w := newWorld(t, 2)
	w.write("file", body(1))
	made := w.backup()
	w.fatal(w.objects.Delete(t.Context(), made.Segments[0].ID.Object()))
	store := newKept()
	done, err := backup.Restore(t.Context(), backup.RestoreOptions{
		Content: w.objects, Open: store.open, AllowMissing: true,
	})
	if err != nil || done.Missing != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestAStoreThatIsNotEmptyIsRefusedAndStaysAsItIs(t *testing.T) {
	w := newWorld(t, 2)
	w.backup()
	store := newKept()
	b := &meta.Batch{}
	b.Put([]byte("k"), []byte("v"))
	w.fatal(store.Apply(t.Context(), b))
	_, err := backup.Restore(t.Context(), backup.RestoreOptions{Content: w.objects, Open: store.open})
	pairs, _ := store.Scan(t.Context(), meta.Range{}, 10)
	if !errors.Is(err, backup.ErrNotEmpty) || len(pairs) != 1 {
		t.Errorf("%v; the store has %v", err, pairs)
	}
}

func TestAStoreWithNothingButANameIsEmpty(t *testing.T) {
	w := newWorld(t, 2)
	w.backup()
	store := newKept()
	w.fatal(store.Apply(t.Context(), batchOf("name", "of a server that was refused")))
	_, err := backup.Restore(t.Context(), backup.RestoreOptions{
		Content: w.objects, Open: store.open, Ignore: []byte("name"),
	})
	values, _ := store.Get(t.Context(), []byte("name"))
	if err != nil || values[0] != nil {
		t.Errorf("%v; the name is %q", err, values[0])
	}
}

func TestARestoreThatIsCutOffCanBeRepeated(t *testing.T) {
	w := newWorld(t, 2)
	ids := w.write("file", body(1))
	for i := range 20_000 {
		b := &meta.Batch{}
		b.Put([]byte("z"+body(i)[:300]), []byte(body(i)[:10]))
		w.log.Submit(b)
	}
	w.fatal(w.log.Apply(batchOf("z", "last")))
	made := w.backup()
	if len(made.Chunks) < 5 {
		t.Fatalf("only %d chunks", len(made.Chunks))
	}
	store := newKept()
	for applies := 0; ; applies++ {
		store.budget = applies
		_, err := backup.Restore(t.Context(), backup.RestoreOptions{Content: w.objects, Open: store.open})
		_, state := backup.Inspect(t.Context(), store)
		if err == nil {
			if state != nil || applies < len(made.Chunks) {
				t.Errorf("complete after %d batches: %v", applies, state)
			}
			break
		}
		if !errors.Is(err, errCut) || applies > 0 && !errors.Is(state, backup.ErrIncomplete) {
			t.Fatalf("after %d batches: %v, and then %v", applies, err, state)
		}
	}
	store.budget = -1
	w.open(store, 2)
	w.expect(ids, body(1))
}

// What was open without a name when the backup was made is reclaimed where it is
// restored.
func TestAFileThatWasHeldIsReclaimedAfterARestore(t *testing.T) {
	w := newWorld(t, 2)
	ids := w.write("file", body(1))
	held := w.write("held", body(2))
	release, err := w.fs.Hold(t.Context(), held)
	w.fatal(err)
	defer release()
	_, err = w.fs.Remove(w.req, w.root, "held")
	w.fatal(err)
	w.backup()
	store := newKept()
	store.budget = -1
	_, err = backup.Restore(t.Context(), backup.RestoreOptions{Content: w.objects, Open: store.open})
	w.fatal(err)
	w.open(store, 2)
	w.expect(ids, body(1))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := w.fs.GetAttr(w.req, held); err == vfs.ESTALE {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is not reclaimed")
		}
	}
	if u := w.fs.Usage(w.root.Share); u.Inodes != 2 || u.Bytes != int64(len(body(1))) {
		t.Errorf("the share counts %+v", u)
	}
}

func batchOf(key, value string) *meta.Batch {
	b := &meta.Batch{}
	b.Put([]byte(key), []byte(value))
	return b
}

func TestAServerThatRunsAnswersAndOneThatWasReplacedStops(t *testing.T) {
	w := newWorld(t, 2)
	w.write("file", body(1))
	w.backup()
	if err := backup.AskOwner(t.Context(), w.objects, 50*time.Millisecond); err != nil {
		t.Errorf("nobody is there, and %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	superseded := make(chan error, 1)
	run := func() {
		owner := &backup.Owner{
			Content: w.objects, Name: "host-a, pid 7", Logger: slog.New(slog.DiscardHandler),
			Superseded: func(err error) { superseded <- err },
		}
		owner.Run(ctx)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); run() }()
	for range 2 {
		err := backup.AskOwner(t.Context(), w.objects, 20*time.Second)
		if !errors.Is(err, backup.ErrAlive) || !strings.Contains(err.Error(), "host-a, pid 7") {
			t.Errorf("the owner is there, and %v", err)
		}
	}
	if left := w.objects.names(t, "restores/"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	cancel()
	<-stopped
	w.restore("")
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	go run()
	select {
	case err := <-superseded:
		if !errors.Is(err, backup.ErrSuperseded) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a server whose metadata was restored elsewhere goes on")
	}
}

func TestABackupOfAnotherInstanceIsRefused(t *testing.T) {
	w := newWorld(t, 2)
	w.backup()
	other := otherOwner{w.objects}
	store := newKept()
	_, err := backup.Restore(t.Context(), backup.RestoreOptions{Content: other, Open: store.open})
	if err == nil || !strings.Contains(err.Error(), "is of instance "+instance) || store.opened > 0 {
		t.Errorf("%v", err)
	}
}

type otherOwner struct{ content.Store }

func (otherOwner) Owner(context.Context) (string, error) { return strings.Repeat("f", 32), nil }
