package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/test/pgserver"
)

// query reads one row as superuser.
func query(t testing.TB, server *pgserver.Server, sql string, args []any, to ...any) {
	t.Helper()
	queryIn(t, server, "postgres", sql, args, to...)
}

func queryIn(t testing.TB, server *pgserver.Server, db, sql string, args []any, to ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN(db))
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(to...); err != nil {
		t.Fatal(err)
	}
}
