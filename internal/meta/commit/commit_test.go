package commit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/memory"
)

func TestSubmittedChangesAreReadableBeforeTheyAreDurable(t *testing.T) {
	store := newGated()
	l := New(context.Background(), store)
	closeAtEnd(t, l)
	ticket := l.Submit(put("a", "1", "b", ""))
	<-store.entered
	if ticket.Done() {
		t.Error("ticket is done before the store has the batch")
	}
	if got := mustGet(t, l, "a"); string(got) != "1" {
		t.Errorf("a is %q", got)
	}
	if got := mustGet(t, l, "b"); got == nil || len(got) != 0 {
		t.Errorf("b is %#v, want present and empty", got)
	}
	if got := mustGet(t, store, "a"); got != nil {
		t.Errorf("the store already has a: %q", got)
	}
	close(store.open)
	if err := ticket.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, store, "a"); string(got) != "1" {
		t.Errorf("a is %q in the store after Wait", got)
	}
}

func TestBatchesSubmittedDuringACommitShareTheNext(t *testing.T) {
	store := newGated()
	l := New(context.Background(), store)
	closeAtEnd(t, l)
	first := l.Submit(put("first", ""))
	<-store.entered
	for i := range 100 {
		l.Submit(put("hot", fmt.Sprint(i), fmt.Sprintf("k%d", i), ""))
		l.Submit(add("sum", int64(i)))
	}
	store.permits <- struct{}{}
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := <-store.entered; n != 102 {
		t.Errorf("second commit has %d changes, want one for each of 102 keys", n)
	}
	close(store.open)
	if n, err := l.Counter(t.Context(), []byte("sum")); err != nil || n != 4950 {
		t.Errorf("sum is %d, %v", n, err)
	}
}

func TestAnIdleLogCommitsASingleBatchAtOnce(t *testing.T) {
	l := New(context.Background(), memory.Open())
	closeAtEnd(t, l)
	for i := range 100 {
		mustApply(t, l, put("k", fmt.Sprint(i)))
	}
	commits, batches, pending := l.Stats()
	if commits != 100 || batches != 100 || pending != 0 {
		t.Errorf("%d commits, %d batches, %d bytes pending", commits, batches, pending)
	}
}

func TestCommitsStayWithinTheStoresBatchLimit(t *testing.T) {
	store := newGated()
	l := New(context.Background(), store)
	value := strings.Repeat("x", meta.MaxValue)
	l.Submit(put("first", ""))
	<-store.entered
	const values = 2*meta.MaxBatch/meta.MaxValue + 10
	for i := range values {
		l.Submit(put(fmt.Sprintf("%04d", i), value))
	}
	close(store.open)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	close(store.entered)
	total := 0
	for n := range store.entered {
		if n*meta.MaxValue > meta.MaxBatch {
			t.Errorf("a commit of %d values exceeds the limit", n)
		}
		total += n
	}
	if total != values {
		t.Errorf("%d values committed, want %d", total, values)
	}
}

func TestSubmitWaitsWhileTooMuchIsPending(t *testing.T) {
	store := newGated()
	l := New(context.Background(), store)
	closeAtEnd(t, l)
	l.maxPending = 10_000
	var submitted atomic.Int64
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				l.Submit(put(fmt.Sprintf("%d-%d", g, i), strings.Repeat("x", 1000)))
				submitted.Add(1)
			}
		})
	}
	for submitted.Load() < 8 {
		<-store.entered
		if _, _, pending := l.Stats(); pending > 10_000 {
			t.Errorf("%d bytes pending", pending)
		}
		store.permits <- struct{}{}
	}
	if n := submitted.Load(); n == 200 {
		t.Error("nothing was held back")
	}
	close(store.open)
	wg.Wait()
}

func TestAFailedCommitFailsTheLogForGood(t *testing.T) {
	store := &failing{Store: memory.Open(), budget: 2}
	l := New(context.Background(), store)
	mustApply(t, l, put("a", "1"))
	mustApply(t, l, put("b", "2"))
	if err := l.Apply(put("c", "3")); !errors.Is(err, errDisk) {
		t.Fatalf("third batch: %v", err)
	}
	<-l.Failed()
	store.budget = 100
	if err := l.Submit(put("d", "4")).Wait(); !errors.Is(err, errDisk) {
		t.Errorf("later batch: %v", err)
	}
	if _, err := l.Get(t.Context(), []byte("a")); !errors.Is(err, errDisk) {
		t.Errorf("get: %v", err)
	}
	if _, err := l.Scan(t.Context(), meta.Range{}, 1); !errors.Is(err, errDisk) {
		t.Errorf("scan: %v", err)
	}
	if _, err := l.Counter(t.Context(), []byte("n")); !errors.Is(err, errDisk) {
		t.Errorf("counter: %v", err)
	}
	if !errors.Is(l.Err(), errDisk) {
		t.Errorf("err: %v", l.Err())
	}
	if store.tried != 3 {
		t.Errorf("the store was tried %d times, want 3", store.tried)
	}
	if err := l.Close(); !errors.Is(err, errDisk) {
		t.Errorf("close: %v", err)
	}
	if got := mustGet(t, store.Store, "d"); got != nil {
		t.Error("a batch was applied after the failure")
	}
}

func TestWhatIsDurableWhenTheStoreFailsIsAPrefixOfWhatWasSubmitted(t *testing.T) {
	for budget := range 12 {
		store := &failing{Store: memory.Open(), budget: budget}
		l := New(context.Background(), store)
		var tickets []Ticket
		for i := range 200 {
			tickets = append(tickets, l.Submit(put(fmt.Sprintf("%03d", i), "", "last", fmt.Sprintf("%03d", i))))
			if i%10 == 0 {
				_ = tickets[i].Wait()
			}
		}
		<-l.Failed()
		durable := 0
		for i, ticket := range tickets {
			err := ticket.Wait()
			if err == nil && durable != i {
				t.Fatalf("budget %d: batch %d is durable after one that is not", budget, i)
			}
			if err == nil {
				durable++
			}
		}
		pairs, err := store.Scan(t.Context(), meta.Range{End: []byte("l")}, 1000)
		if err != nil || len(pairs) != durable {
			t.Errorf("budget %d: %d batches in the store, %d acknowledged, %v", budget, len(pairs), durable, err)
		}
		if err := l.Close(); !errors.Is(err, errDisk) {
			t.Errorf("close: %v", err)
		}
	}
}

func TestACounterThatCannotBeReadFailsTheLog(t *testing.T) {
	store := &failing{Store: memory.Open(), budget: 100, getFail: errDisk}
	l := New(context.Background(), store)
	if err := l.Apply(add("n", 1)); !errors.Is(err, errDisk) {
		t.Errorf("apply: %v", err)
	}
	<-l.Failed()
	if err := l.Close(); !errors.Is(err, errDisk) {
		t.Errorf("close: %v", err)
	}
}

func TestADamagedCounterIsReported(t *testing.T) {
	l := New(context.Background(), memory.Open())
	mustApply(t, l, put("n", "short"))
	if _, err := l.Counter(t.Context(), []byte("n")); !errors.Is(err, meta.ErrCorrupt) {
		t.Errorf("counter: %v", err)
	}
	if err := l.Apply(add("n", 1)); !errors.Is(err, meta.ErrCorrupt) {
		t.Errorf("add: %v", err)
	}
	if err := l.Close(); !errors.Is(err, meta.ErrCorrupt) {
		t.Errorf("close: %v", err)
	}
}

// Whoever made the batch has changed its own memory before: to go on would be to
// acknowledge what no restart brings back.
func TestABatchOutsideTheLimitsChangesNothingAndFailsTheLog(t *testing.T) {
	huge := &meta.Batch{}
	for range meta.MaxBatch/meta.MaxValue + 1 {
		huge.Put([]byte("k"), make([]byte, meta.MaxValue))
	}
	for name, b := range map[string]*meta.Batch{
		"empty key":        put("a", "1", "", "2"),
		"long key":         put("a", "1", strings.Repeat("k", meta.MaxKey+1), ""),
		"long value":       put("a", "1", "b", strings.Repeat("v", meta.MaxValue+1)),
		"large batch":      huge,
		"unknown change":   {Ops: []meta.Op{{Kind: 9, Key: []byte("a")}}},
		"put of a counter": put("a", "1", "counter", "12"),
	} {
		store := memory.Open()
		l := New(context.Background(), store)
		mustApply(t, l, add("counter", 1))
		if err := l.Apply(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := l.Apply(put("later", "1")); err == nil || l.Err() == nil {
			t.Errorf("%s: the log goes on", name)
		}
		select {
		case <-l.Failed():
		default:
			t.Errorf("%s: nobody is told that the log has failed", name)
		}
		if got := mustGet(t, store, "a"); got != nil {
			t.Errorf("%s: a is %q", name, got)
		}
		if err := l.Close(); err == nil {
			t.Errorf("%s: close tells nothing", name)
		}
	}
}

func TestABatchAtTheLimitsIsTaken(t *testing.T) {
	l := New(context.Background(), memory.Open())
	closeAtEnd(t, l)
	mustApply(t, l, put(strings.Repeat("k", meta.MaxKey), strings.Repeat("v", meta.MaxValue)))
}

func TestCloseCommitsWhatIsQueued(t *testing.T) {
	store := newGated()
	l := New(context.Background(), store)
	first := l.Submit(put("a", "1"))
	<-store.entered
	second := l.Submit(put("b", "2"))
	close(store.open)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Wait(), second.Wait()); err != nil {
		t.Error(err)
	}
	if got := mustGet(t, store, "b"); string(got) != "2" {
		t.Errorf("b is %q after Close", got)
	}
	if err := l.Apply(put("c", "3")); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("apply after Close: %v", err)
	}
	if _, err := l.Counter(t.Context(), []byte("n")); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("counter after Close: %v", err)
	}
	if err := l.Close(); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestACancelledLogFailsInsteadOfHanging(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := New(ctx, newGated())
	ticket := l.Submit(put("a", "1"))
	cancel()
	if err := ticket.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: %v", err)
	}
	if err := l.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
}

func TestTheZeroTicketAndTheEmptyBatchAreDone(t *testing.T) {
	l := New(context.Background(), memory.Open())
	closeAtEnd(t, l)
	for _, ticket := range []Ticket{{}, l.Submit(&meta.Batch{})} {
		if !ticket.Done() || ticket.Wait() != nil {
			t.Error("ticket is not done")
		}
	}
}

func TestReadersMayChangeWhatTheyGot(t *testing.T) {
	store := newGated()
	l := New(context.Background(), store)
	closeAtEnd(t, l)
	l.Submit(put("key", "value"))
	mustGet(t, l, "key")[0] = 'X'
	pairs, err := l.Scan(t.Context(), meta.Range{}, 10)
	if err != nil || len(pairs) != 1 {
		t.Fatalf("scan: %d pairs, %v", len(pairs), err)
	}
	pairs[0].Key[0], pairs[0].Value[0] = 'X', 'X'
	if got := mustGet(t, l, "key"); string(got) != "value" {
		t.Errorf("value is %q", got)
	}
	close(store.open)
}

// away is a store whose Apply waits for one that never comes back.
type away struct {
	meta.Store
	called chan struct{}
}

func (s away) Apply(ctx context.Context, _ *meta.Batch) error {
	close(s.called)
	<-ctx.Done()
	return ctx.Err()
}

func TestAbortEndsACommitWhoseStoreIsAway(t *testing.T) {
	store := away{memory.Open(), make(chan struct{})}
	l := New(t.Context(), store)
	b := &meta.Batch{}
	b.Put([]byte("k"), []byte("v"))
	ticket := l.Submit(b)
	<-store.called
	gone := errors.New("gone for too long")
	l.Abort(gone)
	if err := ticket.Wait(); !errors.Is(err, gone) {
		t.Errorf("the batch: %v", err)
	}
	if err := l.Close(); !errors.Is(err, gone) {
		t.Errorf("close: %v", err)
	}
}

func TestASnapshotHoldsWhatIsDurableAndNotWhatIsOnlyVisible(t *testing.T) {
	store := newGated()
	log := New(t.Context(), store)
	durable := log.Submit(put("a", "1"))
	store.permits <- struct{}{}
	if err := durable.Wait(); err != nil {
		t.Fatal(err)
	}
	visible := log.Submit(put("a", "2", "b", "2"))
	snap, err := log.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	close(store.open)
	if err := visible.Wait(); err != nil {
		t.Fatal(err)
	}
	values, err := snap.Get(t.Context(), []byte("a"), []byte("b"))
	if err != nil || string(values[0]) != "1" || values[1] != nil {
		t.Errorf("the snapshot has %q, %v", values, err)
	}
	if err := errors.Join(snap.Close(), log.Close()); err != nil {
		t.Error(err)
	}
}

func TestATicketThatIsDoneKeepsNothingOfItsBatch(t *testing.T) {
	l := New(context.Background(), memory.Open())
	defer l.Close()
	ticket := l.Submit(put("a", "1"))
	if err := ticket.Wait(); err != nil {
		t.Fatal(err)
	}
	if g := ticket.g; g.ops != nil || g.byKey != nil || g.index != nil {
		t.Error("inodes keep their last ticket: it must not keep what was written with it")
	}
}
