package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/printable"
)

// schema holds all tables of this package.
const schema = "dittofs"

// migrations lead from the version of their index to the next one; the first
// makes the tables. A database that is newer than the last is refused.
//
// kv: values change often and have no index, so pages keep room for new
// versions beside the old ones; vacuum comes early, and does not sleep. Large
// values move out of line as they are: compressing costs more than it gives.
//
// owner: every Apply locks its only row and none changes it. Each change of
// hands raises epoch, each retry of a batch attempt (see attempts).
//
// lease is apart from owner, so that heart-beats do not wait for batches.
var migrations = []string{`
CREATE TABLE dittofs.format (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
INSERT INTO dittofs.format (version) VALUES (0);
CREATE TABLE dittofs.kv (key bytea PRIMARY KEY, value bytea NOT NULL) WITH (fillfactor = 80,
	autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE dittofs.kv ALTER COLUMN key SET STORAGE PLAIN, ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE TABLE dittofs.owner (one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, attempt bigint NOT NULL);
INSERT INTO dittofs.owner (epoch, attempt) VALUES (0, 0);
CREATE TABLE dittofs.lease (one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, holder text NOT NULL,
	released boolean NOT NULL, renewed timestamptz NOT NULL, period interval NOT NULL,
	backend integer NOT NULL, backend_start timestamptz NOT NULL);
INSERT INTO dittofs.lease VALUES (true, 0, '', true, now(), '0', 0, now());
`}

// migrationLock is held, in our database, by who makes or changes tables.
const migrationLock = 0x6469_7474_6f66_73

// version is that of the tables: 0 if there are none.
func version(ctx context.Context, q querier) (v int, err error) {
	var exists bool
	if err := q.QueryRow(ctx, `SELECT to_regclass('dittofs.format') IS NOT NULL`).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = q.QueryRow(ctx, `SELECT version FROM dittofs.format`).Scan(&v)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("table %s.format is empty: %w", schema, meta.ErrCorrupt)
	}
	return v, err
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// newer refuses tables of a later program.
func (s *Store) newer(v int) error {
	return &fault.Error{
		Store: store, Reason: fault.NewerVersion, Lasting: true, Err: meta.ErrFormat,
		Message: fmt.Sprintf("database %q at %s has metadata of version %d; this dittofs knows versions up to %d: "+
			"run the newer dittofs again. Nothing was changed",
			s.where().database, s.where().host, v, len(s.options.steps)),
	}
}

// takeOver makes this store the owner, after bringing the tables to our
// version, and returns its epoch. The owner of older tables must be gone before
// they change.
func (s *Store) takeOver(ctx context.Context, conn *pgx.Conn) (epoch int64, err error) {
	v, err := version(ctx, conn)
	switch {
	case err != nil:
		return 0, err
	case v == 0 && s.options.Existing:
		return 0, &fault.Error{
			Store: store, Reason: fault.StoreEmpty, Lasting: true, Err: fs.ErrNotExist,
			Message: fmt.Sprintf("database %q at %s holds no metadata of dittofs", s.where().database, s.where().host),
		}
	case v > len(s.options.steps):
		return 0, s.newer(v)
	case v == len(s.options.steps):
		return s.takeLease(ctx, conn)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if v, err = lockSchema(ctx, tx); err != nil {
			return err
		}
		if v > 0 {
			if epoch, err = s.takeLease(ctx, tx); err != nil {
				return err
			}
		}
		for ; v < len(s.options.steps); v++ {
			if _, err := tx.Exec(ctx, s.options.steps[v], pgx.QueryExecModeSimpleProtocol); err != nil {
				return migrationError(v, err)
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE dittofs.format SET version = $1`, len(s.options.steps)); err != nil {
			return err
		}
		if epoch == 0 {
			epoch, err = s.takeLease(ctx, tx)
		}
		return err
	})
	return epoch, err
}

// lockSchema keeps others from making tables at the same time, makes the
// schema if need be and returns the version. Should we vanish, the server does
// not hold the locks for long.
func lockSchema(ctx context.Context, tx pgx.Tx) (v int, err error) {
	if _, err := tx.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '10s', true),
		set_config('synchronous_commit', 'on', true), pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
		return 0, err
	}
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT to_regnamespace('dittofs') IS NOT NULL`).Scan(&exists); err != nil {
		return 0, err
	}
	if !exists { // asks for more permissions than IF NOT EXISTS should
		if _, err := tx.Exec(ctx, `CREATE SCHEMA dittofs`); err != nil {
			return 0, err
		}
	}
	return version(ctx, tx)
}

func migrationError(v int, err error) error {
	var pg *pgconn.PgError
	if v == 0 && errors.As(err, &pg) && strings.HasPrefix(pg.Code, "42P07") {
		return &fault.Error{
			Store: store, Reason: fault.InvalidConfiguration, Lasting: true, Err: err,
			Message: fmt.Sprintf("schema %s of the database has tables of another program (%s): "+
				"choose another database in metadata.dsn_file", schema, printable.Line(pg.Message)),
		}
	}
	return fmt.Errorf("bring tables from version %d to %d: %w", v, v+1, err)
}
