package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

// ReadOnly is a database as it was at one moment, read in one transaction
// without an ownership of its own.
type ReadOnly struct {
	s     *Store
	epoch int64
	mu    sync.Mutex
	conn  *pgx.Conn
}

var _ meta.Reader = (*ReadOnly)(nil)

// OpenReadOnly begins a read-only transaction. It takes no lease and keeps
// nobody from taking it: Check tells afterwards whether a server has. While
// the lease is held it is meta.ErrLocked; a database without our tables is
// fs.ErrNotExist.
func OpenReadOnly(ctx context.Context, o Options) (*ReadOnly, error) {
	s := &Store{options: o.withDefaults()}
	s.log = s.options.Logger
	r, err := s.openReadOnly(ctx)
	if err != nil {
		return nil, classify(err, s.where())
	}
	return r, nil
}

func (s *Store) openReadOnly(ctx context.Context) (*ReadOnly, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	r := &ReadOnly{s: s, conn: conn}
	if err := r.begin(ctx); err != nil {
		closeConn(conn)
		return nil, err
	}
	return r, nil
}

func (r *ReadOnly) begin(ctx context.Context) error {
	if _, err := r.conn.Exec(ctx, beginSnapshotSQL, pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	v, err := version(ctx, r.conn)
	where := r.s.where()
	switch {
	case err != nil:
		return err
	case v == 0:
		return &fault.Error{
			Store: store, Reason: fault.StoreEmpty, Lasting: true, Err: fs.ErrNotExist,
			Message: fmt.Sprintf("database %q at %s holds no metadata of dittofs", where.database, where.host),
		}
	case v > len(r.s.options.steps):
		return r.s.newer(v)
	case v < len(r.s.options.steps):
		return fmt.Errorf("database %q at %s has tables of version %d; start the server once, which brings them to %d: %w",
			where.database, where.host, v, len(r.s.options.steps), meta.ErrFormat)
	}
	var free bool
	if err := r.conn.QueryRow(ctx, `SELECT `+leaseFree+`, o.epoch FROM dittofs.lease l, dittofs.owner o`).Scan(&free,
		&r.epoch); err != nil {
		return err
	}
	if free {
		return nil
	}
	h, err := r.s.holder(ctx, r.conn)
	if err != nil {
		return err
	}
	return &fault.Error{
		Store: store, Reason: fault.OwnedByAnother, Err: meta.ErrLocked,
		Message: fmt.Sprintf("database %q at %s is in use by %s; its lease of %v was renewed at %s and ends in %v, "+
			"unless it is renewed",
			where.database, where.host, h.name, h.period, h.renewed.UTC().Format(time.RFC3339), h.left),
	}
}

// Check returns meta.ErrFenced if a server has taken the database since: what
// lies outside of it is no longer what this one says.
func (r *ReadOnly) Check(ctx context.Context) error {
	conn, err := r.s.connect(ctx)
	if err != nil {
		return classify(err, r.s.where())
	}
	defer closeConn(conn)
	var epoch int64
	if err := conn.QueryRow(ctx, `SELECT epoch FROM dittofs.owner`).Scan(&epoch); err != nil {
		return classify(err, r.s.where())
	}
	if epoch != r.epoch {
		return fmt.Errorf("a server has taken the database meanwhile (epoch %d, it was %d): %w",
			epoch, r.epoch, meta.ErrFenced)
	}
	return nil
}

// Get implements meta.Reader.
func (r *ReadOnly) Get(ctx context.Context, keys ...[]byte) (values [][]byte, err error) {
	if len(keys) == 0 {
		return nil, ctx.Err()
	}
	err = r.read(func() error {
		values, err = get(ctx, r.conn, keys)
		return err
	})
	return values, err
}

// Scan implements meta.Reader.
func (r *ReadOnly) Scan(ctx context.Context, rg meta.Range, limit int) (pairs []meta.Pair, err error) {
	err = r.read(func() error {
		pairs, err = scan(ctx, r.conn, rg, limit)
		return err
	})
	return pairs, err
}

func (r *ReadOnly) read(call func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return meta.ErrClosed
	}
	if err := call(); err != nil {
		return classify(err, r.s.where())
	}
	return nil
}

// Close ends the transaction.
func (r *ReadOnly) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return meta.ErrClosed
	}
	closeConn(r.conn)
	r.conn = nil
	return nil
}
