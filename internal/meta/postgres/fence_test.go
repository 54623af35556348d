package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/test/pgserver"
)

const never = 24 * time.Hour

// openNext opens a store as soon as its lease lets it.
func openNext(t testing.TB, o Options) *Store {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		s, err := Open(t.Context(), o)
		if err == nil {
			closeAtEnd(t, s)
			return s
		}
		if !errors.Is(err, meta.ErrLocked) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestAFencedStoreCommitsNothingAndSaysWhoOwnsItsDatabase(t *testing.T) {
	server := pgserver.Shared(t)
	o := options(t, server.DSN(server.NewDatabase(t)))
	o.beat, o.OwnerLease = never, 300*time.Millisecond
	first := open(t, o)
	mustApply(t, first, put("a", "first"))
	o.Holder = "host-b/2"
	second := openNext(t, o)
	if first.Epoch() != 1 || second.Epoch() != 2 {
		t.Errorf("epochs %d and %d", first.Epoch(), second.Epoch())
	}
	b := put("a", "late", "b", "late")
	b.Delete([]byte("a"))
	err := first.Apply(t.Context(), b)
	want := fmt.Sprintf(`database %q at %s now belongs to host-b/2 (epoch 2, ours was 1): this server can commit nothing and must stop`,
		first.where().database, first.where().host)
	if !errors.Is(err, meta.ErrFenced) || err.Error() != want {
		t.Errorf("apply: %v\nwant   %s", err, want)
	}
	if _, err := first.Get(t.Context(), []byte("a")); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("get: %v", err)
	}
	if _, err := first.Scan(t.Context(), meta.Range{}, 1); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("scan: %v", err)
	}
	if f := fault.Of(first.Check(t.Context())); f == nil || f.Reason != fault.OwnedByAnother {
		t.Errorf("check: %v", f)
	}
	if err := first.Close(); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("close: %v", err)
	}
	pairs, err := second.Scan(t.Context(), meta.Range{}, 10)
	if err != nil || len(pairs) != 1 || string(pairs[0].Value) != "first" {
		t.Errorf("the database has %q, %v", pairs, err)
	}
	mustApply(t, second, put("a", "second"))
}

func TestALiveOwnerIsNotReplaced(t *testing.T) {
	server := pgserver.Shared(t)
	o := options(t, server.DSN(server.NewDatabase(t)))
	// Many heart-beats to a lease: a busy machine may delay some.
	o.OwnerLease, o.beat = 5*time.Second, 500*time.Millisecond
	s := open(t, o)
	for end := time.Now().Add(3 * o.OwnerLease / 2); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_, err := Open(t.Context(), o)
		f := fault.Of(err)
		if !errors.Is(err, meta.ErrLocked) || f == nil || f.Reason != fault.OwnedByAnother || f.Lasting {
			t.Fatalf("open: %v", err)
		}
		if !strings.Contains(f.Message, "is in use by host-a/1; its lease of 5s was renewed at 2") ||
			!strings.Contains(f.Message, " and ends in ") {
			t.Fatalf("message %q", f.Message)
		}
	}
	mustApply(t, s, put("a", "1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, o) // at once
}

// TestTheLeaseIsJudgedByTheDatabasesClock sets the last heart-beat instead of
// the clock.
func TestTheLeaseIsJudgedByTheDatabasesClock(t *testing.T) {
	server := pgserver.Shared(t)
	eventually(t, "the server has run for longer than a lease", func() (long bool) {
		query(t, server, `SELECT clock_timestamp() > pg_postmaster_start_time() + interval '4.2 s'`, nil, &long)
		return long
	})
	for _, c := range []struct {
		name      string
		renewed   string // after now
		connected bool
		free      bool
	}{
		{"just renewed", "0", true, false},
		{"just renewed, and gone", "0", false, false},
		{"silent for less than half", "-1 s", false, false},
		{"silent for more than half", "-2.5 s", true, false},
		{"silent for more than half, and gone", "-2.5 s", false, true},
		{"lapsed", "-4.1 s", true, true},
		{"the clock was put back", "+10 h", true, false},
		{"the clock was put back, and gone", "+10 h", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			// Where it takes too long, the lease was another age when it was judged.
			for took, tries := time.Minute, 0; took > 900*time.Millisecond; tries++ {
				if tries == 20 {
					t.Fatalf("the machine is too busy: the last try took %v", took)
				}
				took, err = openAfter(t, server, c.renewed, c.connected)
			}
			if (err == nil) != c.free || (err != nil && !errors.Is(err, meta.ErrLocked)) {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// openAfter opens the database of another store whose lease of 4 s was last renewed so long after now, and says how
// long it took.
func openAfter(t *testing.T, server *pgserver.Server, renewed string, connected bool) (time.Duration, error) {
	t.Helper()
	db := server.NewDatabase(t)
	p := newProxy(t, server.Port)
	o := options(t, server.DSNAt(p.Port, db))
	o.beat, o.OwnerLease = never, 4*time.Second
	first := open(t, o)
	if !connected {
		p.cut()
		first.pool.Reset()
		eventually(t, "its connections have ended", func() bool { return connections(t, server, db) == 0 })
	}
	began := time.Now()
	if err := server.ExecIn(db, `UPDATE dittofs.lease SET renewed = clock_timestamp() + interval '`+renewed+
		`'`); err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), o)
	if err == nil {
		closeAtEnd(t, second)
	}
	return time.Since(began), err
}

func connections(t testing.TB, server *pgserver.Server, db string) (n int) {
	t.Helper()
	query(t, server, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1`, []any{db}, &n)
	return n
}

// TestNothingChangesAfterATakeover lets a store go on writing while another
// takes over at some moment.
func TestNothingChangesAfterATakeover(t *testing.T) {
	server := pgserver.Shared(t)
	o := options(t, server.DSN(server.NewDatabase(t)))
	o.beat = never
	const rounds, writers = 60, 3
	s := open(t, o)
	var all int64
	for round := range rounds {
		var acknowledged [writers]atomic.Int64
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for w := range writers {
			wg.Go(func() {
				for i := int64(1); ; i++ {
					err := s.Apply(ctx, put(fmt.Sprintf("r%d/w%d", round, w), fmt.Sprint(i),
						fmt.Sprintf("r%d/w%d/%d", round, w, i%7), fmt.Sprint(i)))
					if err != nil {
						if !errors.Is(err, meta.ErrFenced) {
							t.Errorf("apply: %v", err)
						}
						return
					}
					acknowledged[w].Store(i)
				}
			})
		}
		time.Sleep(rand.N(10 * time.Millisecond))
		if err := server.ExecIn(s.where().database,
			`UPDATE dittofs.lease SET renewed = '-infinity', period = '0', released = true`); err != nil {
			t.Fatal(err)
		}
		next := openNext(t, o)
		before, err := next.Scan(t.Context(), meta.Range{}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		after, err := next.Scan(t.Context(), meta.Range{}, 1<<20)
		if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
			t.Fatalf("round %d: the fenced store changed something (error %v)", round, err)
		}
		for w := range writers {
			var last int64
			_, _ = fmt.Sscan(mustGet(t, next, fmt.Sprintf("r%d/w%d", round, w)), &last)
			n := acknowledged[w].Load()
			if last != n {
				t.Errorf("round %d: writer %d: %d is stored, %d acknowledged", round, w, last, n)
			}
			all += n
		}
		if err := s.Close(); !errors.Is(err, meta.ErrFenced) {
			t.Errorf("close: %v", err)
		}
		s = next
	}
	if all < rounds {
		t.Errorf("only %d batches were acknowledged in %d rounds: nothing was fenced off", all, rounds)
	}
}

func TestTheHeartBeatNoticesThatAnotherHasTakenOver(t *testing.T) {
	server := pgserver.Shared(t)
	db := server.NewDatabase(t)
	p := newProxy(t, server.Port)
	o := options(t, server.DSNAt(p.Port, db))
	o.OwnerLease = 300 * time.Millisecond
	first := open(t, o)
	mustApply(t, first, put("a", "1"))
	p.set(func() { p.refuse = true })
	p.hold()
	direct := o
	direct.DSNFile = dsnFile(t, server.DSN(db))
	second := openNext(t, direct)
	p.set(func() { p.refuse = false })
	p.release()
	eventually(t, "the heart-beat has noticed", func() bool { return first.fence.err() != nil })
	if err := first.Apply(t.Context(), put("a", "2")); !errors.Is(err, meta.ErrFenced) {
		t.Errorf("apply: %v", err)
	}
	expect(t, second, "a", "1")
}

// TestABatchThatArrivesLateCannotUndoALaterOne holds a batch in the network
// until it was sent again and changed again.
func TestABatchThatArrivesLateCannotUndoALaterOne(t *testing.T) {
	server := pgserver.Shared(t)
	db := server.NewDatabase(t)
	p := newProxy(t, server.Port)
	o := options(t, server.DSNAt(p.Port, db))
	o.MaxConnections, o.try = 2, 200*time.Millisecond
	s := open(t, o)
	mustApply(t, s, put("a", "0", "b", "0"))
	var old []int32
	queryIn(t, server, db, `SELECT array_agg(pid) FROM pg_stat_activity, dittofs.lease WHERE datname = $1
		AND application_name = 'dittofs' AND pid <> backend`, []any{db}, &old)
	p.hold()
	mustApply(t, s, put("a", "1", "b", "1"))
	mustApply(t, s, put("a", "2"))
	p.release()
	eventually(t, "the old connections have ended", func() bool {
		var n int
		query(t, server, `SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)`, []any{old}, &n)
		return n == 0
	})
	expect(t, s, "a", "2")
	expect(t, s, "b", "1")
	if s.attempts.number == 0 {
		t.Error("the batch was not held")
	}
	mustApply(t, s, put("a", "3"))
}
