package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/test/pgserver"
)

// TestEveryReadUsesTheIndex asks for the plans of a table that is tiny and has
// no statistics, and of one that has grown, with and without the values known.
func TestEveryReadUsesTheIndex(t *testing.T) {
	server := pgserver.Shared(t)
	s := open(t, options(t, server.DSN(server.NewDatabase(t))))
	check := func(state string) {
		t.Helper()
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			for sql, args := range map[string][]any{
				getSQL:                         {[][]byte{[]byte("a"), []byte("b")}},
				scanSQL[[2]bool{false, false}]: {[]byte("a"), 10},
				scanSQL[[2]bool{false, true}]:  {[]byte("a"), 1 << 40},
				scanSQL[[2]bool{true, false}]:  {[]byte("a"), 1 << 40, []byte("z")},
				scanSQL[[2]bool{true, true}]:   {[]byte("a"), 10, []byte("z")},
			} {
				plan := explain(t, s, mode, sql, args)
				if !strings.Contains(plan, "using kv_pkey on kv") || strings.Contains(plan, "Seq Scan") ||
					strings.Contains(plan, "Sort Key: kv") {
					t.Errorf("%s, %s: %s\n%s", state, mode, sql, plan)
				}
			}
		}
	}
	check("empty")
	b := &meta.Batch{}
	for i := range 20_000 {
		b.Put(fmt.Appendf(nil, "%08d", i), make([]byte, 100))
	}
	mustApply(t, s, b)
	check("grown")
	if err := s.with(t.Context(), func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), `ANALYZE dittofs.kv`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	check("analyzed")
}

func explain(t *testing.T, s *Store, mode, sql string, args []any) (plan string) {
	t.Helper()
	err := s.with(t.Context(), func(conn *pgx.Conn) error {
		if _, err := conn.Exec(t.Context(), `SET plan_cache_mode = `+mode); err != nil {
			return err
		}
		if _, err := conn.Exec(t.Context(), `DEALLOCATE ALL`); err != nil {
			return err
		}
		if err := conn.DeallocateAll(t.Context()); err != nil {
			return err
		}
		params, values := []string{}, []string{}
		for _, a := range args {
			switch a := a.(type) {
			case [][]byte:
				params, values = append(params, "bytea[]"), append(values, `ARRAY['a', 'b']::bytea[]`)
			case []byte:
				params, values = append(params, "bytea"), append(values, fmt.Sprintf(`'%s'::bytea`, a))
			default:
				params, values = append(params, "bigint"), append(values, fmt.Sprint(a))
			}
		}
		if _, err := conn.Exec(t.Context(), fmt.Sprintf(`PREPARE q (%s) AS %s`, strings.Join(params, ", "), sql),
			pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		rows, err := conn.Query(t.Context(), fmt.Sprintf(`EXPLAIN EXECUTE q (%s)`, strings.Join(values, ", ")),
			pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestEachCallIsOneRoundTripAndAnIdleStoreOnlyRenewsItsLease(t *testing.T) {
	server := pgserver.Shared(t)
	db := server.NewDatabase(t)
	p := newProxy(t, server.Port)
	o := options(t, server.DSNAt(p.Port, db))
	o.beat = never
	s := open(t, o)
	calls := func() {
		mustApply(t, s, put("a", "1", "b", "2"))
		mustGet(t, s, "a")
		if _, err := s.Scan(t.Context(), meta.Range{}, 10); err != nil {
			t.Fatal(err)
		}
	}
	calls() // connects and prepares
	before, seen := s.Stats().RoundTrips, p.roundTrips()
	calls()
	if n := s.Stats().RoundTrips - before; n != 3 {
		t.Errorf("3 calls are said to have taken %d round trips", n)
	}
	if n := p.roundTrips() - seen; n != 3 { // as the network counts them
		t.Errorf("3 calls took %d round trips", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.beat = 0
	s = open(t, o)
	// each row with the transaction that wrote it and its place
	rows := func() (state string) {
		queryIn(t, server, db, `SELECT string_agg(concat_ws(' ', xmin, xmax, ctid, row), ',' ORDER BY row) FROM (
			SELECT xmin, xmax, ctid, kv::text AS row FROM dittofs.kv
			UNION ALL SELECT xmin, xmax, ctid, owner::text FROM dittofs.owner
			UNION ALL SELECT xmin, xmax, ctid, format::text FROM dittofs.format) AS rows`, nil, &state)
		return state
	}
	first, trips := rows(), s.Stats().RoundTrips
	eventually(t, "the heart has beaten", func() bool { return s.Stats().RoundTrips >= trips+3 })
	if now := rows(); now != first {
		t.Errorf("an idle store changed %s to %s", first, now)
	}
}
