package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/test/pgserver"
)

func TestADatabaseThatCannotBeOpenedIsDescribed(t *testing.T) {
	server := pgserver.Shared(t)
	at := fmt.Sprintf("127.0.0.1:%d", server.Port)
	db := server.NewDatabase(t)
	sql := func(in, text string) {
		t.Helper()
		if err := server.ExecIn(in, text); err != nil {
			t.Fatal(err)
		}
	}
	sql("postgres", `DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest'; DROP ROLE IF EXISTS nobody; CREATE ROLE nobody NOLOGIN PASSWORD 'x'`)
	readOnly := server.NewDatabase(t)
	sql("postgres", `ALTER DATABASE `+readOnly+` SET default_transaction_read_only = on`)
	newer := server.NewDatabase(t)
	sql(newer, `CREATE SCHEMA dittofs; `+migrations[0]+`; UPDATE dittofs.format SET version = 7`)
	foreign := server.NewDatabase(t)
	sql(foreign, `CREATE SCHEMA dittofs; CREATE TABLE dittofs.owner (x int)`)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(gone, ":")
	for _, c := range []struct {
		dsn, reason, message string
		lasting              bool
	}{
		{server.DSN(db) + " password=wrong", fault.InvalidCredentials, `PostgreSQL at ` + at + ` refuses the password of user "postgres": correct it in metadata.dsn_file`, true},
		{server.DSN(db) + " user=nobody password=x", fault.AccessDenied, `PostgreSQL at ` + at + ` does not let user "nobody" in: role "nobody" is not permitted to log in`, false},
		{server.DSN("missing"), fault.DatabaseNotFound, `PostgreSQL at ` + at + ` has no database "missing": create it, or correct metadata.dsn_file`, true},
		{server.DSN(db) + " user=guest password=guest", fault.AccessDenied, `user "guest" lacks a permission in database "` + db + `" (permission denied for database ` + db + `): let it own the database or the schema dittofs`, false},
		{server.DSN(db) + " port=" + port, fault.Unreachable, `PostgreSQL at ` + gone + ` cannot be reached: connect: connection refused`, false},
		{server.DSN(db) + " sslmode=require", fault.TLSFailed, `TLS with PostgreSQL at ` + at + ` failed: the server does not offer it; check sslmode and the root certificate (ca.crt) of metadata.dsn_file`, false},
		{server.DSN(readOnly), fault.DatabaseReadOnly, `PostgreSQL at ` + at + ` is read-only (a standby, or default_transaction_read_only is set): name the primary in metadata.dsn_file`, false},
		{server.DSN(newer), fault.NewerVersion, `database "` + newer + `" at ` + at + ` has metadata of version 7; this dittofs knows versions up to 1: run the newer dittofs again. Nothing was changed`, true},
		{server.DSN(foreign), fault.InvalidConfiguration, `schema dittofs of the database has tables of another program (relation "owner" already exists): choose another database in metadata.dsn_file`, true},
	} {
		_, err := Open(t.Context(), options(t, c.dsn))
		f := fault.Of(err)
		if f == nil || f.Reason != c.reason || f.Lasting != c.lasting || f.Message != c.message || f.Store != "metadata" {
			t.Errorf("%s: %+v\n%v\nwant %s", c.reason, f, err, c.message)
		}
		if (c.reason == fault.NewerVersion) != errors.Is(err, meta.ErrFormat) {
			t.Errorf("%s: %v is ErrFormat", c.reason, err)
		}
	}
	var epoch int
	queryIn(t, server, newer, `SELECT epoch FROM dittofs.owner`, nil, &epoch)
	if epoch != 0 {
		t.Error("a newer database was changed")
	}
}

func TestStoresThatAreMadeAtTheSameTimeGetOneOwner(t *testing.T) {
	server := pgserver.Shared(t)
	o := options(t, server.DSN(server.NewDatabase(t)))
	o.OwnerLease = time.Minute
	var mu sync.Mutex
	var owners []*Store
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := Open(t.Context(), o)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				owners = append(owners, s)
			} else if !errors.Is(err, meta.ErrLocked) {
				t.Errorf("open: %v", err)
			}
		})
	}
	wg.Wait()
	if len(owners) != 1 || owners[0].Epoch() != 1 {
		t.Errorf("%d owners", len(owners))
	}
	for _, s := range owners {
		closeAtEnd(t, s)
		mustApply(t, s, put("a", "1"))
	}
}

func TestOlderTablesAreBroughtToThisVersionAtOnceAndOnlyByTheirOwner(t *testing.T) {
	server := pgserver.Shared(t)
	db := server.NewDatabase(t)
	o := options(t, server.DSN(db))
	s := open(t, o)
	mustApply(t, s, put("a", "1"))
	next := o
	next.steps = append(slices.Clone(migrations),
		`CREATE TABLE dittofs.extra (x int); INSERT INTO dittofs.extra VALUES (1)`)
	if _, err := Open(t.Context(), next); !errors.Is(err, meta.ErrLocked) {
		t.Fatalf("migrated below a live owner: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken := next
	broken.steps = append(slices.Clone(next.steps), `CREATE TABLE dittofs.more (x int); SELECT 1/0`)
	if _, err := Open(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("a step that fails: %v", err)
	}
	var version, epoch int
	var tables *string
	state := `SELECT version, epoch, to_regclass('dittofs.extra')::text FROM dittofs.format, dittofs.owner`
	queryIn(t, server, db, state, nil, &version, &epoch, &tables)
	if version != 1 || epoch != 1 || tables != nil {
		t.Errorf("a failed migration left version %d, epoch %d, %v", version, epoch, tables)
	}
	s = open(t, next)
	queryIn(t, server, db, state, nil, &version, &epoch, &tables)
	if version != 2 || epoch != 2 || tables == nil || mustGet(t, s, "a") != "1" {
		t.Errorf("version %d, epoch %d, %v", version, epoch, tables)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), o); !errors.Is(err, meta.ErrFormat) {
		t.Errorf("the older program: %v", err)
	}
}

func TestTheServersCertificateIsChecked(t *testing.T) {
	dir := t.TempDir()
	authority, other := newAuthority(t), newAuthority(t)
	authority.issue(t, dir, "localhost")
	server := pgserver.Start(t, pgserver.Options{CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key")})
	db := server.NewDatabase(t)
	at := fmt.Sprint(server.Port)
	secret := func(ca []byte, host string) map[string]string {
		return map[string]string{
			"host": host, "port": at, "user": pgserver.User, "password": pgserver.Password, "dbname": db, "ca.crt": string(ca),
		}
	}
	open(t, Options{DSNFile: directory(t, secret(authority.pem, "localhost"))})
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{secret(other.pem, "localhost"), `TLS with PostgreSQL at localhost:` + at + ` failed: x509: certificate signed by unknown authority`},
		{secret(authority.pem, "127.0.0.1"), `TLS with PostgreSQL at 127.0.0.1:` + at + ` failed: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs`},
	} {
		_, err := Open(t.Context(), Options{DSNFile: directory(t, c.files)})
		f := fault.Of(err)
		if f == nil || f.Reason != fault.TLSFailed || !strings.HasPrefix(f.Message, c.want) ||
			!strings.HasSuffix(f.Message, "; check sslmode and the root certificate (ca.crt) of metadata.dsn_file") {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true,
		NotBefore:             time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue writes a certificate and its key into dir, as crt and key.
func (a *authority) issue(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"crt": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAChangedPasswordIsUsedForNewConnections(t *testing.T) {
	server := pgserver.Shared(t)
	db := server.NewDatabase(t)
	if err := server.Exec(`DROP ROLE IF EXISTS rotated; CREATE ROLE rotated LOGIN SUPERUSER PASSWORD 'one'`); err != nil {
		t.Fatal(err)
	}
	o := options(t, server.DSN(db)+" user=rotated password=one")
	s := open(t, o)
	mustApply(t, s, put("a", "1"))
	if err := server.Exec(`ALTER ROLE rotated PASSWORD 'two'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Apply(t.Context(), put("a", "2")) }()
	eventually(t, "the batch waits", func() bool { return s.Stats().Waiting })
	if f := fault.Of(s.Check(t.Context())); f == nil || f.Reason != fault.InvalidCredentials {
		t.Errorf("check: %v", f)
	}
	if err := os.WriteFile(o.DSNFile, []byte(server.DSN(db)+" user=rotated password=two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ended(t, "the batch is let in with the new password", done); err != nil {
		t.Fatal(err)
	}
}
