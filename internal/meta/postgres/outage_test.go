package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/test/pgserver"
)

// TestNothingAcknowledgedIsLostWhilePostgreSQLComesAndGoes has writers with a
// model of what they were promised, and readers that must never see less.
func TestNothingAcknowledgedIsLostWhilePostgreSQLComesAndGoes(t *testing.T) {
	server := pgserver.Start(t, pgserver.Options{})
	o := options(t, server.DSN(server.NewDatabase(t)))
	o.OwnerLease, o.try, o.readLimit = time.Minute, 400*time.Millisecond, time.Minute
	o.beat = 200 * time.Millisecond
	s := open(t, o)
	const writers = 4
	var acknowledged [writers]atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := int64(1); ctx.Err() == nil; i++ {
				if err := s.Apply(t.Context(), chainLink(w, i)); err != nil {
					t.Errorf("apply: %v", err)
					return
				}
				acknowledged[w].Store(i)
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				least := acknowledged[w].Load()
				checkChain(t, s, w, least)
			}
		})
	}
	disturb(t, server, 10)
	for w := range writers {
		eventually(t, "each writer has got something done", func() bool { return acknowledged[w].Load() >= 10 || t.Failed() })
	}
	stop()
	wg.Wait()
	for w := range writers {
		n := acknowledged[w].Load()
		if got := checkChain(t, s, w, n); got != n {
			t.Errorf("writer %d: %d is stored, %d acknowledged", w, got, n)
		}
	}
	if st := s.Stats(); st.Retries == 0 || st.Connects < 3 || st.Waiting {
		t.Errorf("stats after outages: %+v", st)
	}
}

// chainLink moves writer w from i-1 to i: the key of i replaces that of i-1.
func chainLink(w int, i int64) *meta.Batch {
	b := put(fmt.Sprintf("w%d/last", w), fmt.Sprint(i), fmt.Sprintf("w%d/%08d", w, i), "")
	b.Delete(fmt.Appendf(nil, "w%d/%08d", w, i-1))
	return b
}

// checkChain returns where writer w is, at least at least.
func checkChain(t *testing.T, s *Store, w int, least int64) int64 {
	pairs, err := s.Scan(t.Context(), meta.PrefixRange(fmt.Appendf(nil, "w%d/", w)), 10)
	if err != nil {
		t.Errorf("scan: %v", err)
		return 0
	}
	if len(pairs) == 0 && least == 0 {
		return 0
	}
	if len(pairs) != 2 || string(pairs[0].Key) != fmt.Sprintf("w%d/%08s", w, pairs[1].Value) {
		t.Errorf("writer %d: half a batch: %q", w, pairs)
		return 0
	}
	n, err := strconv.ParseInt(string(pairs[1].Value), 10, 64)
	if err != nil || n < least {
		t.Errorf("writer %d: %d is stored, %d was acknowledged", w, n, least)
	}
	return n
}

func disturb(t *testing.T, server *pgserver.Server, times int) {
	restart := func(end func() error) func() error {
		return func() error { return errors.Join(end(), server.Restart()) }
	}
	pause := func() error {
		err := server.Pause()
		time.Sleep(500*time.Millisecond + rand.N(500*time.Millisecond))
		return errors.Join(err, server.Resume())
	}
	terminate := func() error {
		return server.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dittofs'`)
	}
	kinds := []func() error{restart(server.Stop), restart(server.StopImmediately), restart(server.Kill), pause, terminate}
	for i := range times {
		time.Sleep(rand.N(300 * time.Millisecond))
		if err := kinds[i%len(kinds)](); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond) // some work after the last one
}

func TestACommitWhoseAnswerIsLostIsRepeatedWithoutHarm(t *testing.T) {
	server := pgserver.Shared(t)
	p := newProxy(t, server.Port)
	db := server.NewDatabase(t)
	o := options(t, server.DSNAt(p.Port, db))
	o.beat = never
	s := open(t, o)
	mustApply(t, s, put("a", "0", "b", "0"))
	for i := range 5 {
		value := fmt.Sprint(i)
		before := p.lostBytes()
		p.set(func() { p.lose = true })
		done := make(chan error)
		go func() {
			b := put("a", value)
			b.Delete([]byte("b"))
			done <- s.Apply(context.Background(), b)
		}()
		eventually(t, "the answer is lost", func() bool { return p.lostBytes() > before })
		var stored string
		queryIn(t, server, db, `SELECT convert_from(value, 'UTF8') FROM dittofs.kv WHERE key = 'a'`, nil, &stored)
		if stored != value {
			t.Errorf("the server has %s before the answer", stored)
		}
		p.set(func() { p.lose = false })
		p.cut()
		if err := ended(t, "the batch is repeated", done); err != nil {
			t.Fatal(err)
		}
		expect(t, s, "a", value)
	}
	if n := s.Stats().Retries; n < 5 {
		t.Errorf("%d retries", n)
	}
}

// trouble makes the database answer every batch with an error.
func trouble(t *testing.T, server *pgserver.Server, db, code string) (mend func()) {
	t.Helper()
	if err := server.ExecIn(db, `CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'made by the test' USING ERRCODE = '`+code+`'; END $$;
		CREATE TRIGGER trouble BEFORE INSERT OR DELETE ON dittofs.kv
			FOR EACH STATEMENT EXECUTE FUNCTION trouble()`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := server.ExecIn(db, `DROP FUNCTION trouble() CASCADE`); err != nil {
			t.Error(err)
		}
	}
}

func TestABatchWaitsUntilTheDatabaseTakesIt(t *testing.T) {
	server := pgserver.Shared(t)
	for _, c := range []struct{ code, reason, message string }{
		{"53100", fault.DatabaseFull, "PostgreSQL at %s has no space left on its disk: made by the test"},
		{"53300", fault.StoreFailing, "PostgreSQL at %s has no free connection: lower metadata.max_connections or raise max_connections there"},
		{"40001", fault.StoreFailing, "PostgreSQL at %s fails: made by the test (SQLSTATE 40001)"},
		{"40P01", fault.StoreFailing, "PostgreSQL at %s fails: made by the test (SQLSTATE 40P01)"},
		{"25006", fault.DatabaseReadOnly, "PostgreSQL at %s is read-only (a standby, or default_transaction_read_only is set): name the primary in metadata.dsn_file"},
		{"57P01", fault.Unreachable, "PostgreSQL at %s is starting or stopping: made by the test"},
		{"42501", fault.AccessDenied, `user "postgres" lacks a permission in database %s (made by the test): let it own the database or the schema dittofs`},
	} {
		t.Run(c.reason+c.code, func(t *testing.T) {
			db := server.NewDatabase(t)
			o := options(t, server.DSN(db))
			s := open(t, o)
			mend := trouble(t, server, db, c.code)
			done := make(chan error)
			go func() { done <- s.Apply(context.Background(), put("a", "1")) }()
			eventually(t, "the batch waits", func() bool { return s.Stats().Waiting })
			what := s.where().host
			if c.code == "42501" {
				what = strconv.Quote(db)
			}
			f := fault.Of(s.Check(t.Context()))
			if f == nil || f.Reason != c.reason || f.Message != fmt.Sprintf(c.message, what) {
				t.Errorf("check: %#v", f)
			}
			mend()
			if err := ended(t, "the database takes the batch", done); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context()); err != nil || s.Stats().Waiting {
				t.Errorf("check after it was mended: %v", err)
			}
			expect(t, s, "a", "1")
		})
	}
}

func TestWhatCannotSucceedIsNotRepeated(t *testing.T) {
	server := pgserver.Shared(t)
	db := server.NewDatabase(t)
	s := open(t, options(t, server.DSN(db)))
	mend := trouble(t, server, db, "XX001")
	if err := s.Apply(t.Context(), put("a", "1")); !errors.Is(err, meta.ErrCorrupt) {
		t.Errorf("apply to a damaged table: %v", err)
	}
	mend()
	mustApply(t, s, put("a", "1"))
	if err := server.ExecIn(db, `DROP TABLE dittofs.kv`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), []byte("a")); !errors.Is(err, meta.ErrCorrupt) {
		t.Errorf("get from a table that is gone: %v", err)
	}
}

func TestAStandbyIsNeitherReadNorWritten(t *testing.T) {
	server := pgserver.Start(t, pgserver.Options{})
	o := options(t, server.DSN(server.NewDatabase(t)))
	o.OwnerLease, o.readLimit = time.Minute, 300*time.Millisecond
	s := open(t, o)
	mustApply(t, s, put("a", "1"))
	if err := server.Demote(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), []byte("a"))
	if f := fault.Of(err); f == nil || f.Reason != fault.DatabaseReadOnly {
		t.Errorf("get: %v", err)
	}
	if _, err := Open(t.Context(), o); fault.Of(err) == nil || fault.Of(err).Reason != fault.DatabaseReadOnly ||
		fault.Of(err).Lasting {
		t.Errorf("open: %v", err)
	}
	done := make(chan error)
	go func() { done <- s.Apply(context.Background(), put("a", "2")) }()
	eventually(t, "the batch waits", func() bool { return s.Stats().Waiting })
	if err := server.Promote(); err != nil {
		t.Fatal(err)
	}
	if err := ended(t, "the primary takes the batch", done); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "a", "2")
}

func TestCallsEndWhenTheirContextOrTheStoreDoes(t *testing.T) {
	server := pgserver.Start(t, pgserver.Options{})
	o := options(t, server.DSN(server.NewDatabase(t)))
	// As much longer than a try as usual: a second one would outlast it.
	o.readLimit, o.try, o.closeWait = 2*time.Second, time.Second, time.Second
	var log logged
	o.Logger = slog.New(&log)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, put("a", "1"))
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = s.Get(context.Background(), []byte("a"))
	within(t, "get", began, o.readLimit)
	want := fmt.Sprintf("metadata database is away for too long: PostgreSQL at %s cannot be reached: no answer in time", s.where().host)
	if f := fault.Of(err); f == nil || f.Reason != fault.Unreachable || err.Error() != want {
		t.Errorf("get: %v\nwant %s", err, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	began = time.Now()
	if err := s.Apply(ctx, put("a", "2")); !errors.Is(err, context.DeadlineExceeded) || fault.Of(err) == nil {
		t.Errorf("apply: %v", err)
	}
	within(t, "apply", began, 700*time.Millisecond)
	if err := s.Check(t.Context()); fault.Of(err) == nil || fault.Of(err).Reason != fault.Unreachable {
		t.Errorf("check: %v", err)
	}
	done := make(chan error)
	go func() { done <- s.Apply(context.Background(), put("a", "3")) }()
	eventually(t, "the batch waits", func() bool { return s.Stats().Waiting })
	began = time.Now()
	err = s.Close()
	within(t, "close", began, 2*o.closeWait) // for its calls, and for its lease
	if err := ended(t, "the batch is given up", done); !errors.Is(err, meta.ErrClosed) {
		t.Errorf("apply: %v", err)
	}
	if fault.Of(err) == nil ||
		!strings.HasPrefix(err.Error(), "the lease was not released, and another server waits until it ends: ") {
		t.Errorf("close: %v", err)
	}
	if n := log.count("metadata database cannot be used; requests wait"); n != 1 {
		t.Errorf("the outage was logged %d times", n)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
}

// within checks that a call ended when it should, but for what a busy machine
// adds.
func within(t *testing.T, what string, began time.Time, limit time.Duration) {
	t.Helper()
	if took := time.Since(began); took > limit+700*time.Millisecond {
		t.Errorf("%s took %v, limit %v", what, took.Round(time.Millisecond), limit)
	}
}

// logged keeps messages.
type logged struct {
	mu       sync.Mutex
	messages []string
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logged) WithGroup(string) slog.Handler            { return l }
func (l *logged) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, r.Message)
	return nil
}

func (l *logged) count(message string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.messages {
		if m == message {
			n++
		}
	}
	return n
}

// TestCommitsAreDurableWhateverTheDatabaseIsSetTo kills a server that would
// write its log seconds later.
func TestCommitsAreDurableWhateverTheDatabaseIsSetTo(t *testing.T) {
	server := pgserver.Start(t, pgserver.Options{
		Settings: map[string]string{"synchronous_commit": "off", "wal_writer_delay": "10s"},
	})
	o := options(t, server.DSN(server.NewDatabase(t)))
	s := open(t, o)
	for i := range 5 {
		mustApply(t, s, put("a", fmt.Sprint(i)))
		if err := errors.Join(server.Kill(), server.Restart()); err != nil {
			t.Fatal(err)
		}
		expect(t, s, "a", fmt.Sprint(i))
	}
}

func TestASnapshotWhoseConnectionBreaksIsGoneAndSaysSo(t *testing.T) {
	server := pgserver.Shared(t)
	s := open(t, options(t, server.DSN(server.NewDatabase(t))))
	mustApply(t, s, put("a", "1"))
	taken, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	snap := taken.(*snapshot)
	if _, err := snap.Scan(t.Context(), meta.Range{}, 1); err != nil {
		t.Fatal(err)
	}
	err = s.with(t.Context(), func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend($1)`, snap.conn.PgConn().PID())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := snap.Scan(t.Context(), meta.Range{}, 1); err == nil ||
			!strings.Contains(err.Error(), "begin again with a new one") {
			t.Errorf("scan of a broken snapshot: %v", err)
		}
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
	again, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if pairs, err := again.Scan(t.Context(), meta.Range{}, 2); err != nil || len(pairs) != 1 {
		t.Errorf("the next snapshot has %v, %v", pairs, err)
	}
}
