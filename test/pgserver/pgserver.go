// Package pgserver runs a real PostgreSQL for tests, from Debian's package, in
// a temporary directory and on loopback. It can be stopped, killed, held and
// started again on the same port, as the outages in production do.
//
// As root it runs the server as the user postgres, since PostgreSQL refuses to
// run as root.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Superuser of every server, and its password over TCP.
const (
	User     = "postgres"
	Password = "p4ss word"
)

const patience = 60 * time.Second

// Options of a server.
type Options struct {
	// Fsync makes it durable, and slower.
	Fsync bool
	// CertFile and KeyFile, in PEM form, turn TLS on.
	CertFile, KeyFile string
	// Settings are lines of postgresql.conf.
	Settings map[string]string
}

// Server is a running or stopped server.
type Server struct {
	Port int

	dir     string
	bin     string
	options Options
	process *exec.Cmd
	exited  chan struct{}
	databases
}

// Start runs a server until the end of the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgserver")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s, err := Launch(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Launch makes a database cluster in dir, which must be empty, and runs it. It
// ends with this process.
func Launch(dir string, o Options) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, options: o}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		return nil, err
	}
	return s, s.Restart()
}

// binaries is the directory of the newest PostgreSQL.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: run hack/apt.sh postgresql")
	}
	version := func(path string) int {
		v, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return v
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) initialize() error {
	if err := s.give(s.dir, 0o755); err != nil {
		return err
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o600); err != nil {
		return err
	}
	if err := s.give(password, 0o600); err != nil {
		return err
	}
	out, err := s.command("initdb", "-D", s.data(), "-U", User, "--pwfile", password, "-A", "scram-sha-256", "-E",
		"UTF8", "--locale=C",
		"--no-sync", "--no-instructions").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return s.configure()
}

func (s *Server) configure() error {
	var conf bytes.Buffer
	set := func(key, value string) { fmt.Fprintf(&conf, "%s = '%s'\n", key, value) }
	set("listen_addresses", "127.0.0.1")
	set("unix_socket_directories", "")
	set("port", strconv.Itoa(s.Port))
	set("max_connections", "100")
	set("shared_buffers", "64MB")
	set("password_encryption", "scram-sha-256")
	if !s.options.Fsync {
		set("fsync", "off")
	}
	if s.options.CertFile != "" {
		for name, from := range map[string]string{"server.crt": s.options.CertFile, "server.key": s.options.KeyFile} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			to := filepath.Join(s.data(), name)
			if err := errors.Join(os.WriteFile(to, text, 0o600), s.give(to, 0o600)); err != nil {
				return err
			}
		}
		set("ssl", "on")
	}
	for key, value := range s.options.Settings {
		set(key, value)
	}
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(conf.Bytes())
	return errors.Join(err, f.Close())
}

// give makes path the server's.
func (s *Server) give(path string, mode os.FileMode) error {
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	id, err := owner()
	if err != nil || id == nil {
		return err
	}
	return os.Chown(path, int(id.Uid), int(id.Gid))
}

// owner is who runs the server, nil for this user.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin", "HOME=" + s.dir}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	c.SysProcAttr.Credential, _ = owner() // initialize has seen the error
	return c
}

// Restart starts a stopped server on the port it had, and waits until it takes
// connections.
func (s *Server) Restart() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.process = s.command("postgres", "-D", s.data())
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	exited, process := make(chan struct{}), s.process
	s.exited = exited
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	return s.ready()
}

func (s *Server) ready() error {
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-s.exited:
			return fmt.Errorf("PostgreSQL has ended: %s", s.Log())
		default:
		}
		if err = s.Exec("SELECT 1"); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("PostgreSQL is not ready: %w: %s", err, s.Log())
}

// Log is what the server has written so far.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// DSN is a connection string for a database, over TCP as superuser. It does not
// ask for TLS: a server without it would need a second connection to be told.
func (s *Server) DSN(database string) string { return s.DSNAt(s.Port, database) }

// DSNAt is DSN with another port, such as that of a proxy.
func (s *Server) DSNAt(port int, database string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password='%s' dbname=%s sslmode=disable",
		port, User, Password, database)
}

// Exec runs statements as superuser in the database postgres.
func (s *Server) Exec(sql string) error { return s.ExecIn("postgres", sql) }

// ExecIn is Exec in another database.
func (s *Server) ExecIn(database, sql string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN(database))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}
