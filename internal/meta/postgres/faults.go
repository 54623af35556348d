package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/printable"
)

// store is the section of config.yaml that faults name.
const store = "metadata"

// errStandby: the server follows another one, and what it says may be old.
var errStandby = errors.New("the server is a standby")

// classify describes err to those who run the database. where names the
// server, the database and the user.
func classify(err error, where target) *fault.Error {
	if f := fault.Of(err); f != nil {
		return f
	}
	f := &fault.Error{Store: store, Err: err}
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		f.Reason, f.Message, f.Lasting = answer(pg, where)
	case errors.Is(err, errStandby) || errors.Is(err, pgconn.ErrReadOnlyConnection):
		f.Reason = fault.DatabaseReadOnly
		f.Message = fmt.Sprintf("PostgreSQL at %s is read-only (a standby, or default_transaction_read_only is set): "+
			"name the primary in metadata.dsn_file", where.host)
	case isTLS(err):
		f.Reason = fault.TLSFailed
		f.Message = fmt.Sprintf("TLS with PostgreSQL at %s failed: %s; check sslmode and the root certificate (ca.crt) "+
			"of metadata.dsn_file", where.host, cause(err))
	default:
		f.Reason = fault.Unreachable
		f.Message = fmt.Sprintf("PostgreSQL at %s cannot be reached: %s", where.host, cause(err))
	}
	f.Message = oneLine(f.Message)
	return f
}

// answer is the meaning of what PostgreSQL itself said.
func answer(pg *pgconn.PgError, at target) (reason, message string, lasting bool) {
	switch pg.Code {
	case "28P01":
		return fault.InvalidCredentials, fmt.Sprintf(
			"PostgreSQL at %s refuses the password of user %q: correct it in metadata.dsn_file", at.host, at.user), true
	case "28000":
		return fault.AccessDenied, fmt.Sprintf("PostgreSQL at %s does not let user %q in: %s",
			at.host, at.user, pg.Message), false
	case "3D000":
		return fault.DatabaseNotFound, fmt.Sprintf(
			"PostgreSQL at %s has no database %q: create it, or correct metadata.dsn_file", at.host, at.database), true
	case "42501":
		return fault.AccessDenied, fmt.Sprintf("user %q lacks a permission in database %q (%s): "+
			"let it own the database or the schema %s", at.user, at.database, pg.Message, schema), false
	case "25006":
		return fault.DatabaseReadOnly, fmt.Sprintf("PostgreSQL at %s is read-only (a standby, "+
			"or default_transaction_read_only is set): name the primary in metadata.dsn_file", at.host), false
	case "53100":
		return fault.DatabaseFull, fmt.Sprintf("PostgreSQL at %s has no space left on its disk: %s",
			at.host, pg.Message), false
	case "53300":
		return fault.StoreFailing, fmt.Sprintf("PostgreSQL at %s has no free connection: "+
			"lower metadata.max_connections or raise max_connections there", at.host), false
	case "57P01", "57P02", "57P03":
		return fault.Unreachable, fmt.Sprintf("PostgreSQL at %s is starting or stopping: %s", at.host, pg.Message), false
	}
	return fault.StoreFailing, fmt.Sprintf("PostgreSQL at %s fails: %s (SQLSTATE %s)", at.host, pg.Message, pg.Code), false
}

// retryable reports whether the same request may succeed later. What cannot is
// a fault of this program, or somebody has changed or damaged its tables.
func retryable(err error) bool {
	var pg *pgconn.PgError
	if errors.Is(err, meta.ErrFenced) || errors.Is(err, meta.ErrCorrupt) {
		return false
	}
	if !errors.As(err, &pg) || len(pg.Code) != 5 || pg.Code == "42501" {
		return true
	}
	switch pg.Code[:2] {
	case "22", "23", "42", "3F", "54", "XX":
		return false
	}
	return true
}

// asStoreError gives an error that is not retried the meaning of package meta.
func asStoreError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "XX001", "XX002":
			return fmt.Errorf("%w: %w", meta.ErrCorrupt, err)
		case "42P01", "3F000":
			return fmt.Errorf("a table of schema %s was removed: %w: %w", schema, meta.ErrCorrupt, err)
		}
	}
	return err
}

// disconnects reports whether other connections are likely to be of no use
// either.
func disconnects(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return true
	}
	return pg.Code == "25006" || strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08")
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
		alert        tls.AlertError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) ||
		errors.As(err, &record) || errors.As(err, &alert) || strings.Contains(err.Error(), "server refused TLS connection")
}

// cause is the innermost thing that went wrong, without the layers around it.
func cause(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case isTLS(err) && strings.Contains(err.Error(), "server refused TLS connection"):
		return "the server does not offer it"
	case errors.As(err, &dns) && !dns.IsTimeout:
		return fmt.Sprintf("the name %s is not known", dns.Name)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || pgconn.Timeout(err):
		return "no answer in time"
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	for {
		inner := errors.Unwrap(err)
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			inner = joined.Unwrap()[0]
		}
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func oneLine(text string) string { return printable.Line(strings.Join(strings.Fields(text), " ")) }
