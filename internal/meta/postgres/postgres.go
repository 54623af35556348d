// Package postgres is the metadata store in a PostgreSQL database: one table
// of ordered keys, one round trip for each call, fenced by an epoch that every
// batch checks in its own transaction. It serves instances that must be able
// to start anywhere without a volume for their metadata.
//
// It waits for a database that is away and repeats what it does not know the
// outcome of, so that package commit, which gives up on the first error, sees
// an outage as a slow commit. docs/decisions/0013 says why no two owners can
// commit, and no batch can come back late.
//
// The package imports meta, fault, disk, printable and pgx only.
package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

// closeTimeout bounds how long Close waits for a database that does not
// answer: for calls in progress, and again for the release of the lease.
const closeTimeout = 5 * time.Second

// Options of a Store.
type Options struct {
	// DSNFile is metadata.dsn_file of config.yaml: a file with a connection
	// string, or a directory with the keys of a Secret.
	DSNFile string
	// MaxConnections bounds the connections, one of which is for heart-beats; 0
	// means 8, and 2 is the least.
	MaxConnections int
	// OwnerLease is how long others wait after the last heart-beat; 0 means
	// 15 s. It is renewed three times as often.
	OwnerLease time.Duration
	// MinEpoch is the least that the epoch will be: for a database that takes
	// the place of another store whose epochs were used.
	MinEpoch uint64
	// Existing refuses a database without our tables (fs.ErrNotExist), in
	// which Open makes them otherwise.
	Existing bool
	// Logger may be nil: slog.Default().
	Logger *slog.Logger
	// Holder names this process to others, such as host/pid, which is the
	// default.
	Holder string

	beat      time.Duration // between heart-beats; 0 means a third of OwnerLease
	try       time.Duration // of one call; 0 means 15 s
	readLimit time.Duration // of Get and Scan; 0 means 30 s
	closeWait time.Duration // 0 means closeTimeout
	steps     []string      // nil means migrations
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&o.OwnerLease, 15*time.Second)
	def(&o.beat, o.OwnerLease/3)
	def(&o.try, 15*time.Second)
	def(&o.readLimit, 30*time.Second)
	def(&o.closeWait, closeTimeout)
	if o.MaxConnections == 0 {
		o.MaxConnections = 8
	}
	o.MaxConnections = max(2, o.MaxConnections)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Holder == "" {
		host, _ := os.Hostname()
		o.Holder = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if o.steps == nil {
		o.steps = migrations
	}
	return o
}

// Store is a metadata store in a database that it owns.
type Store struct {
	options  Options
	log      *slog.Logger
	pool     *pgxpool.Pool
	epoch    int64
	target   atomic.Pointer[target]
	attempts attempts
	fence    fence
	outage   outage

	roundTrips, retries, connects atomic.Uint64

	life     context.Context //nolint:containedctx // of calls in progress, after closing
	kill     context.CancelFunc
	closing  chan struct{} // closed: calls no longer wait for the database
	mu       sync.Mutex    // guards the rest
	closed   bool
	calls    int
	idle     chan struct{} // closed when closed and no calls
	beatStop chan struct{}
	snaps    map[*snapshot]struct{} // open ones

	beatStopped chan struct{}
}

var (
	_ meta.Store    = (*Store)(nil)
	_ fault.Checker = (*Store)(nil)
)

// Open connects, brings the tables to this program's version and becomes the
// owner of the database. It tries once. Errors are *fault.Error; also
// meta.ErrLocked while another server owns the database (its message says
// which, and until when), and meta.ErrFormat if the tables are newer.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{
		options:     o.withDefaults(),
		attempts:    newAttempts(),
		fence:       fence{done: make(chan struct{})},
		closing:     make(chan struct{}),
		idle:        make(chan struct{}),
		beatStop:    make(chan struct{}),
		beatStopped: make(chan struct{}),
	}
	s.log = s.options.Logger
	s.life, s.kill = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		s.kill()
		return nil, classify(err, s.where())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	config, err := load(s.options.DSNFile)
	if err != nil {
		return err
	}
	if s.pool, err = s.openPool(config); err != nil {
		return err
	}
	conn, err := s.connect(ctx)
	if err == nil {
		s.epoch, err = s.takeOver(ctx, conn)
	}
	if err != nil {
		if conn != nil {
			closeConn(conn)
		}
		s.pool.Close()
		return err
	}
	s.warnOfLoss(ctx, conn)
	s.warnOfClearText(conn.PgConn().Conn())
	go s.heartbeat(conn)
	return nil
}

// warnOfLoss says so if the database itself is set to lose what it has
// acknowledged.
func (s *Store) warnOfLoss(ctx context.Context, q querier) {
	var fsync, pages string
	err := q.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes')`).Scan(&fsync, &pages)
	if err == nil && (fsync != "on" || pages != "on") {
		s.log.Warn("the metadata database can lose acknowledged changes in a power cut: set fsync and full_page_writes to on",
			"fsync", fsync, "full_page_writes", pages)
	}
}

// warnOfClearText says so if the connection leaves this machine unencrypted, which
// sslmode prefer, the default of libpq, does without a word if the server has no TLS.
func (s *Store) warnOfClearText(conn net.Conn) {
	if leavesInClearText(conn) {
		s.log.Warn(
			"the metadata database is reached in clear text: the password and all metadata can be read and changed on the way; "+
				"set sslmode to verify-full in metadata.dsn_file, with the authority's certificate in ca.crt or sslrootcert",
			"address", conn.RemoteAddr().String())
	}
}

// leavesInClearText: a unix socket and a loopback address stay on this machine.
func leavesInClearText(conn net.Conn) bool {
	if _, encrypted := conn.(*tls.Conn); encrypted {
		return false
	}
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

func (s *Store) where() target {
	if t := s.target.Load(); t != nil {
		return *t
	}
	return target{host: "?"}
}

// enter begins a call; leave ends it.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, meta.ErrClosed
	}
	if err := s.fence.err(); err != nil {
		return nil, err
	}
	s.calls++
	return s.leave, nil
}

func (s *Store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls--
	if s.closed && s.calls == 0 {
		close(s.idle)
	}
}

// Epoch implements meta.Store.
func (s *Store) Epoch() uint64 { return uint64(s.epoch) }

// Close implements meta.Store. Calls that the database works on are waited
// for, up to 5 s; calls that wait for the database end with meta.ErrClosed. An
// error says that the lease could not be released, or was lost before.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return meta.ErrClosed
	}
	s.closed = true
	close(s.closing)
	if s.calls == 0 {
		close(s.idle)
	}
	s.mu.Unlock()

	timer := time.AfterFunc(s.options.closeWait, s.kill)
	<-s.idle
	timer.Stop()
	close(s.beatStop)
	<-s.beatStopped
	s.closeSnapshots()
	err := s.fence.err()
	if err == nil {
		err = s.release()
	}
	s.kill()
	if fault.Of(err) != nil { // it would wait for a server that may not answer
		go s.pool.Close()
	} else {
		s.pool.Close()
	}
	return err
}

// Check implements fault.Checker.
func (s *Store) Check(ctx context.Context) error {
	if f := fault.Of(s.fence.err()); f != nil {
		return f
	}
	if f := s.outage.current(); f != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.try)
	defer cancel()
	err := s.with(ctx, func(conn *pgx.Conn) error {
		var readOnly bool
		err := conn.QueryRow(ctx,
			`SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean`).Scan(&readOnly)
		if err == nil && readOnly {
			err = errStandby
		}
		return err
	})
	if err != nil {
		if disconnects(err) {
			s.pool.Reset()
		}
		return classify(err, s.where())
	}
	return nil
}

// Stats are what metrics show.
type Stats struct {
	RoundTrips  uint64 // requests sent
	Retries     uint64 // of them, sent again or in vain
	Connects    uint64 // connections made
	InUse, Idle int    // connections, without that of the heart-beat
	Waiting     bool   // calls wait for the database
}

// Stats returns the state of the moment.
func (s *Store) Stats() Stats {
	pool := s.pool.Stat()
	return Stats{
		RoundTrips: s.roundTrips.Load(),
		Retries:    s.retries.Load(),
		Connects:   s.connects.Load(),
		InUse:      int(pool.AcquiredConns()),
		Idle:       int(pool.IdleConns()),
		Waiting:    s.outage.current() != nil,
	}
}
