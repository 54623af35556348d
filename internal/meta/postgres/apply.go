package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dittofs/dittofs/internal/meta"
)

// applySQL is one transaction. All writes take their rows from owner, and
// owner has one only while its row is locked and names our epoch and attempt:
// a statement that waited for somebody who changed the row looks at it again.
// The commit is durable whatever the database is set to.
const applySQL = `WITH owner AS MATERIALIZED (
	SELECT set_config('synchronous_commit', 'on', true) FROM dittofs.owner WHERE epoch = $1 AND attempt = $2 FOR SHARE
), put AS (
	INSERT INTO dittofs.kv (key, value)
	SELECT b.key, b.value FROM owner, unnest($3::bytea[], $4::bytea[]) AS b (key, value)
	ON CONFLICT (key) DO UPDATE SET value = excluded.value
), gone AS (
	DELETE FROM dittofs.kv USING owner WHERE key = ANY ($5::bytea[])
)
SELECT count(*) FROM owner`

// errStale: the batch was sent under an attempt that is no longer the current
// one, and was not applied.
var errStale = errors.New("sent under an earlier attempt")

// Apply implements meta.Store: one round trip, and one sync of the server. It
// waits for a database that is away, until ctx ends, the store is closed, or
// another owns it.
func (s *Store) Apply(ctx context.Context, b *meta.Batch) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	c, err := collapse(b)
	if err != nil {
		return fmt.Errorf("apply batch: %w", err)
	}
	if len(c.puts)+len(c.deletes) == 0 {
		return nil
	}
	return s.retry(ctx, 0, func(ctx context.Context) error { return s.tryApply(ctx, c) })
}

func (s *Store) tryApply(ctx context.Context, c *changes) error {
	attempt, err := s.attempts.current(ctx, s)
	if err != nil {
		return err
	}
	return s.with(ctx, func(conn *pgx.Conn) error {
		var owned int
		err := conn.QueryRow(ctx, applySQL, s.epoch, attempt, c.puts, c.values, c.deletes).Scan(&owned)
		switch {
		case err != nil:
			if !pgconn.SafeToRetry(err) {
				s.attempts.unknown(attempt)
			}
			return err
		case owned == 0:
			return s.refused(ctx, conn)
		}
		return nil
	})
}

// refused finds out why nothing was applied.
func (s *Store) refused(ctx context.Context, q querier) error {
	var epoch, attempt int64
	s.roundTrips.Add(1)
	err := q.QueryRow(ctx, `SELECT epoch, attempt FROM dittofs.owner`).Scan(&epoch, &attempt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("table %s.owner is empty: %w", schema, meta.ErrCorrupt)
	case err != nil:
		return err
	case epoch != s.epoch:
		return s.fenced(ctx, q)
	}
	s.attempts.learn(attempt)
	return errStale
}

// changes are a batch with one change for each key.
type changes struct{ puts, values, deletes [][]byte }

// collapse leaves the last change of each key, in the order of keys, so that
// batches lock rows in the same order.
func collapse(b *meta.Batch) (*changes, error) {
	last := make(map[string]int, len(b.Ops))
	size := 0
	for i := range b.Ops {
		op := &b.Ops[i]
		switch {
		case op.Kind != meta.OpPut && op.Kind != meta.OpDelete:
			return nil, fmt.Errorf("change %d is of kind %d; a store takes puts and deletes", i, op.Kind)
		case len(op.Key) > meta.MaxKey:
			return nil, fmt.Errorf("change %d has a key of %d bytes, more than %d", i, len(op.Key), meta.MaxKey)
		case len(op.Value) > meta.MaxValue:
			return nil, fmt.Errorf("change %d has a value of %d bytes, more than %d", i, len(op.Value), meta.MaxValue)
		}
		size += len(op.Key) + len(op.Value)
		last[string(op.Key)] = i
	}
	if size > meta.MaxBatch {
		return nil, fmt.Errorf("%d bytes, more than %d", size, meta.MaxBatch)
	}
	ops := make([]*meta.Op, 0, len(last))
	for _, i := range last {
		ops = append(ops, &b.Ops[i])
	}
	slices.SortFunc(ops, func(a, b *meta.Op) int { return bytes.Compare(a.Key, b.Key) })
	c := &changes{puts: [][]byte{}, values: [][]byte{}, deletes: [][]byte{}}
	for _, op := range ops {
		if op.Kind == meta.OpDelete {
			c.deletes = append(c.deletes, present(op.Key))
			continue
		}
		c.puts = append(c.puts, present(op.Key))
		c.values = append(c.values, present(op.Value))
	}
	return c, nil
}

// present is b, never nil, which would be NULL.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
