package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/meta"
)

// beginSnapshotSQL begins a transaction that sees the database as it is at its
// first statement, and that the server does not end for being idle.
const beginSnapshotSQL = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
	SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0`

// snapshot is a transaction on a connection of its own. It lives in that
// connection: when it breaks, the snapshot is gone.
type snapshot struct {
	store *Store
	turn  sync.Mutex // between calls
	conn  *pgx.Conn  // nil once closed or gone
	gone  error      // why, if not closed
}

// Snapshot implements meta.Snapshotter. It needs a connection beside those of
// the pool, and waits up to 30 s for a database that is away.
func (s *Store) Snapshot(ctx context.Context) (meta.Snapshot, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	snap := &snapshot{store: s}
	err = s.retry(ctx, s.options.readLimit, func(ctx context.Context) (err error) {
		snap.conn, err = s.beginSnapshot(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snaps == nil {
		s.snaps = make(map[*snapshot]struct{})
	}
	s.snaps[snap] = struct{}{}
	return snap, nil
}

// beginSnapshot also makes sure that the database is still ours, in the
// snapshot itself.
func (s *Store) beginSnapshot(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	s.roundTrips.Add(2)
	var epoch int64
	_, err = conn.Exec(ctx, beginSnapshotSQL, pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		err = conn.QueryRow(ctx, `SELECT epoch FROM dittofs.owner`).Scan(&epoch)
	}
	if err == nil && epoch != s.epoch {
		err = s.fenced(ctx, conn)
	}
	if err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

// Get implements meta.Reader.
func (s *snapshot) Get(ctx context.Context, keys ...[]byte) (values [][]byte, err error) {
	if len(keys) == 0 {
		return nil, ctx.Err()
	}
	err = s.read(ctx, func(ctx context.Context) error {
		values, err = get(ctx, s.conn, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// Scan implements meta.Reader.
func (s *snapshot) Scan(ctx context.Context, r meta.Range, limit int) (pairs []meta.Pair, err error) {
	err = s.read(ctx, func(ctx context.Context) error {
		pairs, err = scan(ctx, s.conn, r, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

// read makes one call. There is no second try: the moment is past.
func (s *snapshot) read(ctx context.Context, call func(ctx context.Context) error) error {
	leave, err := s.store.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.turn.Lock()
	defer s.turn.Unlock()
	switch {
	case s.gone != nil:
		return s.gone
	case s.conn == nil:
		return meta.ErrClosed
	}
	s.store.roundTrips.Add(1)
	err = s.store.once(ctx, maxTry, call)
	if err == nil {
		return nil
	}
	s.gone = fmt.Errorf("the snapshot of the metadata database is gone with its transaction, "+
		"begin again with a new one: %w",
		asStoreError(classify(err, s.store.where())))
	s.end()
	return s.gone
}

// Close implements meta.Snapshot.
func (s *snapshot) Close() error {
	s.store.mu.Lock()
	delete(s.store.snaps, s)
	s.store.mu.Unlock()
	s.turn.Lock()
	defer s.turn.Unlock()
	s.end()
	return nil
}

// end ends the transaction by its connection.
func (s *snapshot) end() {
	if s.conn != nil {
		closeConn(s.conn)
		s.conn = nil
	}
}

// closeSnapshots closes what others left open, after the last call.
func (s *Store) closeSnapshots() {
	s.mu.Lock()
	snaps := s.snaps
	s.snaps = nil
	s.mu.Unlock()
	for snap := range snaps {
		snap.turn.Lock()
		snap.end()
		snap.turn.Unlock()
	}
}
