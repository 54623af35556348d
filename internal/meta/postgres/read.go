package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/meta"
)

// getSQL looks each key up in the index, one after the other.
const getSQL = `SELECT (SELECT value FROM dittofs.kv WHERE key = k) FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted (k, n) ORDER BY n`

// scanSQL by whether there is an end and whether it is in reverse.
var scanSQL = map[[2]bool]string{
	{false, false}: `SELECT key, value FROM dittofs.kv WHERE key >= $1 ORDER BY key LIMIT $2`,
	{false, true}:  `SELECT key, value FROM dittofs.kv WHERE key >= $1 ORDER BY key DESC LIMIT $2`,
	{true, false}:  `SELECT key, value FROM dittofs.kv WHERE key >= $1 AND key < $3 ORDER BY key LIMIT $2`,
	{true, true}:   `SELECT key, value FROM dittofs.kv WHERE key >= $1 AND key < $3 ORDER BY key DESC LIMIT $2`,
}

// Get implements meta.Reader. The values are of one moment. It waits up to 30 s
// for a database that is away; the error then wraps a *fault.Error.
func (s *Store) Get(ctx context.Context, keys ...[]byte) (values [][]byte, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if len(keys) == 0 {
		return nil, nil
	}
	err = s.retry(ctx, s.options.readLimit, func(ctx context.Context) error {
		return s.with(ctx, func(conn *pgx.Conn) error {
			values, err = get(ctx, conn, keys)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// Scan implements meta.Reader. The pairs are of one moment. It waits as Get
// does.
func (s *Store) Scan(ctx context.Context, r meta.Range, limit int) (pairs []meta.Pair, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = s.retry(ctx, s.options.readLimit, func(ctx context.Context) error {
		return s.with(ctx, func(conn *pgx.Conn) error {
			pairs, err = scan(ctx, conn, r, limit)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

func get(ctx context.Context, conn *pgx.Conn, keys [][]byte) ([][]byte, error) {
	wanted := make([][]byte, len(keys))
	for i, key := range keys {
		wanted[i] = present(key)
	}
	rows, err := conn.Query(ctx, getSQL, wanted)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows(make([][]byte, 0, len(keys)), rows, pgx.RowTo[[]byte])
}

func scan(ctx context.Context, conn *pgx.Conn, r meta.Range, limit int) ([]meta.Pair, error) {
	args := []any{present(r.Start), int64(limit)}
	if r.End != nil {
		args = append(args, r.End)
	}
	rows, err := conn.Query(ctx, scanSQL[[2]bool{r.End != nil, r.Reverse}], args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]meta.Pair(nil), rows, toPair)
}

func toPair(row pgx.CollectableRow) (p meta.Pair, err error) {
	err = row.Scan(&p.Key, &p.Value)
	return p, err
}
