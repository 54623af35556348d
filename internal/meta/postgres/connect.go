package postgres

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// dialer finds out about a server that has vanished while nothing is sent.
var dialer = net.Dialer{
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
}

// target is what messages call the database.
type target struct{ host, user, database string }

func targetOf(c *pgx.ConnConfig) target {
	hosts := []string{hostPort(c.Host, c.Port)}
	for _, f := range c.Fallbacks {
		if h := hostPort(f.Host, f.Port); h != hosts[len(hosts)-1] {
			hosts = append(hosts, h)
		}
	}
	return target{host: strings.Join(hosts, ","), user: c.User, database: c.Database}
}

func hostPort(host string, port uint16) string {
	if strings.HasPrefix(host, "/") {
		return fmt.Sprintf("%s/.s.PGSQL.%d", host, port)
	}
	return net.JoinHostPort(host, fmt.Sprint(port))
}

// session makes a new connection fit for our statements: they are written for
// the index, whatever the statistics of the moment say, so one plan of each
// serves for ever: to plan a Get again took five times as long as to run it.
// A pooler that hands out
// a connection which another one set up costs speed, and nothing else.
const session = `SELECT pg_is_in_recovery(),
	set_config('enable_seqscan', 'off', false),
	set_config('enable_bitmapscan', 'off', false),
	set_config('enable_sort', 'off', false),
	set_config('jit', 'off', false),
	set_config('plan_cache_mode', 'force_generic_plan', false),
	set_config('default_transaction_isolation', 'read committed', false)`

// connect opens a connection of its own, for statements that are sent once or
// seldom: to prepare each would cost a round trip more.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := load(s.options.DSNFile)
	if err != nil {
		return nil, err
	}
	s.target.Store(new(targetOf(config)))
	if config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		config.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, conn); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

// prepare refuses a standby: what it says may be older than what was
// acknowledged.
func (s *Store) prepare(ctx context.Context, conn *pgx.Conn) error {
	s.roundTrips.Add(1)
	s.connects.Add(1)
	var standby bool
	if err := conn.QueryRow(ctx, session, pgx.QueryExecModeSimpleProtocol).Scan(&standby, nil, nil, nil, nil, nil,
		nil); err != nil {
		return err
	}
	if standby {
		return errStandby
	}
	return nil
}

// openPool returns a pool that connects when it is used. config was loaded
// just now; later connections read it again.
func (s *Store) openPool(config *pgx.ConnConfig) (*pgxpool.Pool, error) {
	pool, err := pgxpool.ParseConfig(settings{"host": "-", "user": "-", "dbname": "-"}.connString())
	if err != nil {
		return nil, err
	}
	pool.ConnConfig = config
	pool.MaxConns = int32(s.options.MaxConnections - 1) // one is the heart-beat's
	// a call that fails is repeated
	pool.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	pool.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		fresh, err := load(s.options.DSNFile)
		if err != nil {
			return err
		}
		s.target.Store(new(targetOf(fresh)))
		*c = *fresh
		return nil
	}
	pool.AfterConnect = s.prepare
	return pgxpool.NewWithConfig(context.Background(), pool)
}

// with calls f with a connection of the pool.
func (s *Store) with(ctx context.Context, f func(conn *pgx.Conn) error) error {
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	conn := c.Conn()
	s.roundTrips.Add(1)
	err = f(conn)
	if conn.IsClosed() {
		hasten(conn.PgConn())
	}
	return err
}

// hasten gives a server a second to hear that we gave up on an answer. Without
// it the connection would count against the bound of the pool for 15 s when
// the network has lost it.
func hasten(conn *pgconn.PgConn) {
	time.AfterFunc(time.Second, func() {
		select {
		case <-conn.CleanupDone():
		default:
			_ = conn.Conn().Close()
		}
	})
}

// closeConn ends a connection without waiting for a server that hangs.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
