package pgserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// databases are those that tests have had. Making one copies some hundred
// files, emptying it drops a schema.
type databases struct {
	mu   sync.Mutex
	made int
	free []string
}

// NewDatabase returns the name of an empty database, for the time of the test.
// Tests after it may get the same one: what they find empty is the schema
// dittofs, and the settings of the database.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name := s.reuse()
	if name == "" {
		s.mu.Lock()
		s.made++
		name = fmt.Sprintf("test%d", s.made)
		s.mu.Unlock()
		if err := s.Exec("CREATE DATABASE " + name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			return // a store of it may still be open
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free = append(s.free, name)
	})
	return name
}

// reuse empties the database that has been free for longest; "" if there is
// none. One that cannot be emptied (a test has made it read-only) or that
// somebody still uses is left alone.
func (s *Server) reuse() string {
	for {
		s.mu.Lock()
		if len(s.free) == 0 {
			s.mu.Unlock()
			return ""
		}
		name := s.free[0]
		s.free = s.free[1:]
		s.mu.Unlock()
		if s.empty(name) == nil {
			return name
		}
	}
}

// unused waits until nobody else is connected: the server ends a connection
// some time after its client.
func unused(ctx context.Context, conn *pgx.Conn) error {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(2 * time.Millisecond) {
		var users int
		err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "+
			"AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
			pgx.QueryExecModeSimpleProtocol).Scan(&users)
		if err != nil || users == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("somebody is connected")
		}
	}
}

func (s *Server) empty(name string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if err := unused(ctx, conn); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" RESET ALL; DROP SCHEMA IF EXISTS dittofs CASCADE",
		pgx.QueryExecModeSimpleProtocol)
	return err
}
