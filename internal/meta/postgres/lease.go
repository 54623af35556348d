package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/printable"
)

// The lease decides who may become the owner; the epoch who is. So a lease
// that is judged wrongly (a clock that jumps, a heart-beat that is late) can
// end an ownership too early, and never let two owners commit.
//
// Time is always the database's. It is counted from the last heart-beat or, so
// that an owner that was only cut off can come back first, from the start of
// the database. Half a lease suffices when the connection of the heart-beat has
// ended: a killed process is gone, and one that lives would have connected
// again and renewed. A heart-beat in the future is of a clock that was put
// back: it counts for as long as the connection lives.
const (
	leaseStart = `greatest(l.renewed, CASE WHEN pg_postmaster_start_time() < clock_timestamp() THEN pg_postmaster_start_time() END)`
	leaseGone  = `NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.backend
		AND (a.backend_start IS NULL OR a.backend_start = l.backend_start))`
	leaseFree = `(l.released OR clock_timestamp() > ` + leaseStart + ` + l.period OR (` + leaseGone + `
		AND (clock_timestamp() > ` + leaseStart + ` + l.period / 2 OR l.renewed > clock_timestamp())))`
	backendStart = `(SELECT coalesce(min(a.backend_start), now()) FROM pg_stat_activity a WHERE a.pid = pg_backend_pid())`
)

// takeLeaseSQL takes over if the lease is free, all in one statement. Changing
// owner waits for every Apply that has its row locked; each later one finds
// another epoch there.
const takeLeaseSQL = `WITH free AS MATERIALIZED (
	SELECT set_config('synchronous_commit', 'on', true) FROM dittofs.lease l WHERE ` + leaseFree + ` FOR UPDATE
), taken AS (
	UPDATE dittofs.owner o SET epoch = greatest(o.epoch + 1, $3::bigint), attempt = 0 FROM free RETURNING o.epoch
)
UPDATE dittofs.lease l SET epoch = taken.epoch, holder = $1, released = false, renewed = clock_timestamp(), period = $2::float8 * interval '1 microsecond',
	backend = pg_backend_pid(), backend_start = ` + backendStart + ` FROM taken RETURNING taken.epoch`

const heldSQL = `SELECT l.holder, l.epoch, l.renewed, l.period,
	extract(epoch FROM ` + leaseStart + ` + CASE WHEN ` + leaseGone + ` THEN l.period / 2 ELSE l.period END - clock_timestamp())::float8
	FROM dittofs.lease l`

const renewSQL = `UPDATE dittofs.lease SET renewed = clock_timestamp(), backend = pg_backend_pid(), backend_start = ` +
	backendStart + `
	WHERE epoch = $1 AND NOT released AND set_config('synchronous_commit', 'off', true) IS NOT NULL`

const releaseSQL = `UPDATE dittofs.lease SET released = true
	WHERE epoch = $1 AND set_config('synchronous_commit', 'on', true) IS NOT NULL`

func (s *Store) takeLease(ctx context.Context, q querier) (epoch int64, err error) {
	err = q.QueryRow(ctx, takeLeaseSQL, s.options.Holder, float64(s.options.OwnerLease.Microseconds()),
		int64(s.options.MinEpoch)).Scan(&epoch)
	if !errors.Is(err, pgx.ErrNoRows) {
		return epoch, err
	}
	holder, err := s.holder(ctx, q)
	if err != nil {
		return 0, err
	}
	return 0, &fault.Error{
		Store: store, Reason: fault.OwnedByAnother, Err: meta.ErrLocked,
		Message: fmt.Sprintf("database %q at %s is in use by %s; its lease of %v was renewed at %s and ends in %v, "+
			"unless it is renewed: stop that server, or use another database",
			s.where().database, s.where().host, holder.name, holder.period,
			holder.renewed.UTC().Format(time.RFC3339), holder.left),
	}
}

type holder struct {
	name         string
	epoch        int64
	renewed      time.Time
	period, left time.Duration
}

func (s *Store) holder(ctx context.Context, q querier) (h holder, err error) {
	var left float64
	err = q.QueryRow(ctx, heldSQL).Scan(&h.name, &h.epoch, &h.renewed, &h.period, &left)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("table %s.lease is empty: %w", schema, meta.ErrCorrupt)
	}
	h.name = printable.Text(h.name)
	h.left = max(0, time.Duration(left*float64(time.Second))).Round(100 * time.Millisecond)
	return h, err
}

// heartbeat renews the lease until the store is closed or fenced. That it
// cannot is no reason to stop: the epoch decides.
func (s *Store) heartbeat(conn *pgx.Conn) {
	defer close(s.beatStopped)
	every := s.options.beat
	pause, late := every, false
	for s.sleep(pause) {
		err := s.beat(&conn, every)
		switch {
		case errors.Is(err, meta.ErrFenced):
		case err != nil:
			if !late {
				s.log.Warn("lease of the metadata database is not renewed; trying on", "error", classify(err, s.where()))
			}
			pause, late = max(every/20, 50*time.Millisecond), true
		default:
			pause, late = every, false
		}
	}
	if conn != nil {
		closeConn(conn)
	}
}

// sleep waits, and reports false once the heart must stop.
func (s *Store) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.fence.done:
	case <-s.beatStop:
	}
	return false
}

func (s *Store) beat(conn **pgx.Conn, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if *conn == nil {
		c, err := s.connect(ctx)
		if err != nil {
			return err
		}
		*conn = c
	}
	s.roundTrips.Add(1)
	tag, err := (*conn).Exec(ctx, renewSQL, s.epoch)
	if err == nil && tag.RowsAffected() == 0 {
		err = s.fenced(ctx, *conn)
	}
	if err != nil && disconnects(err) {
		closeConn(*conn)
		*conn = nil
	}
	return err
}

// fenced returns the error of a store that has lost its database, and makes it
// the fate of all calls.
func (s *Store) fenced(ctx context.Context, q querier) error {
	h, err := s.holder(ctx, q)
	if err != nil {
		return err
	}
	if h.epoch == s.epoch {
		return fmt.Errorf("schema %s is inconsistent: owner and lease name different epochs: %w", schema, meta.ErrCorrupt)
	}
	return s.fence.set(&fault.Error{
		Store: store, Reason: fault.OwnedByAnother, Lasting: true, Err: meta.ErrFenced,
		Message: fmt.Sprintf("database %q at %s now belongs to %s (epoch %d, ours was %d): "+
			"this server can commit nothing and must stop",
			s.where().database, s.where().host, h.name, h.epoch, s.epoch),
	}, s.log)
}

// release ends the lease, so that another server need not wait for it.
func (s *Store) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.closeWait)
	defer cancel()
	err := s.with(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, releaseSQL, s.epoch)
		return err
	})
	if err != nil {
		return fmt.Errorf("the lease was not released, and another server waits until it ends: %w", classify(err, s.where()))
	}
	return nil
}
