package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/fault"
)

func TestConnectionStringsAreUnderstood(t *testing.T) {
	for text, want := range map[string]string{
		"host=h user=u dbname=d": "u::h:5432/d",
		" host = h\nuser='u x' password='p\\'w\\\\' dbname=d port=6 \n": `u x:p'w\:h:6/d`,
		"postgres://u:p%40w@h:6/d":                                      "u:p@w:h:6/d",
		"postgresql://u@[::1]:6/d?sslmode=disable":                      "u::::1:6/d",
		"postgres://u:p@h/d?application_name=x&keepalives=1":            "u:p:h:5432/d",
		"postgres:///d?host=/run/pg&user=u&port=7":                      "u::/run/pg/.s.PGSQL.7/d",
	} {
		c, err := load(dsnFile(t, text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := summary(c); got != want {
			t.Errorf("%s gives %s, want %s", text, got, want)
		}
	}
	c, err := load(dsnFile(t, "postgres://u:p@h1:1,h2:2/d?sslmode=disable"))
	if err != nil || len(c.Fallbacks) != 1 || c.Fallbacks[0].Host != "h2" || c.Fallbacks[0].Port != 2 ||
		c.ValidateConnect == nil {
		t.Errorf("two hosts: %+v, %v", c, err)
	}
}

func summary(c *pgx.ConnConfig) string {
	return c.User + ":" + c.Password + ":" + strings.Replace(hostPort(c.Host, c.Port), "["+c.Host+"]", c.Host, 1) +
		"/" + c.Database
}

func TestAConnectionFileThatCannotBeUsedIsRefusedWithoutItsSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                    "it is empty",
		"hello":                                               "it is neither a postgres:// URI nor key=value pairs",
		"mysql://u:s3cret@h/d":                                "it is neither a postgres:// URI nor key=value pairs",
		"host=h user=u":                                       "it has no dbname",
		"host=h dbname=d":                                     "it has no user",
		"postgres://u:s3cret@/d":                              "it has no host",
		"postgres://u:s3cret@h,/d":                            "its list of hosts has an empty one",
		"postgres://u:s3cr/et@h/d":                            "its user or password has a / or ? that is not written as %2F or %3F",
		"postgres://u:s3c@ret@h/d":                            "its user or password has an @ that is not written as %40",
		"postgres://u:s3cret@h/d ?x=1":                        `the value of "dbname" is not percent-encoded`,
		"postgres://u:s3cret%zz@h/d":                          `the value of "password" is not percent-encoded`,
		"postgres://u:s3cret@[::1/d":                          "its host has a [ without ]",
		"postgres://u:s3cret@h/d?x":                           "a parameter after ? has no =",
		"host=h user=u dbname=d hots=h":                       `unknown key "hots"`,
		"host=h user=u dbname=d s3cret;=1":                    "unknown key (not a name)",
		"host=h user=u dbname=d password='s3cr":               `the value of "password" has a quote that does not end`,
		"host=h user=u dbname=d password=s3cret port=x":       "invalid port",
		"host=h user=u dbname=d password=s3cret sslmode=full": "failed to configure TLS (sslmode is invalid)",
		"host=h user=u dbname=d sslmode=require sslrootcert=/no/where": "failed to configure TLS (unable to read CA file: open /no/where: no such file or directory)",
		"host=h user=u dbname=d\x00":                                   "it has a NUL byte",
		strings.Repeat("x", maxFile+1):                                 "dsn: it is larger than 65536 bytes",
	} {
		path := dsnFile(t, text)
		_, err := load(path)
		f := fault.Of(err)
		if f == nil || f.Reason != fault.InvalidConfiguration || !f.Lasting ||
			f.Message != "metadata.dsn_file "+path+": "+want {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
		if strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%q: the password is in %v", text, err)
		}
	}
	if _, err := load("/no/where"); fault.Of(err) == nil ||
		fault.Of(err).Message != "metadata.dsn_file: stat /no/where: no such file or directory" {
		t.Errorf("no file: %v", err)
	}
}

func TestTheEnvironmentDoesNotChangeTheConnection(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".pgpass"), []byte("*:*:*:*:wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"HOST", "USER", "PASSWORD", "DATABASE", "APPNAME", "OPTIONS", "TZ", "SSLCERT", "SSLKEY", "SSLROOTCERT", "SSLPASSWORD",
	} {
		t.Setenv("PG"+name, "wrong")
	}
	for name, value := range map[string]string{
		"PGPORT": "1", "PGSSLMODE": "disable", "PGCONNECT_TIMEOUT": "1", "PGTARGETSESSIONATTRS": "standby",
		"PGCHANNELBINDING": "require",
		"PGREQUIREAUTH":    "md5", "PGSSLNEGOTIATION": "direct", "PGMINPROTOCOLVERSION": "3.2", "PGSSLCERTMODE": "require",
		"PGSSLSNI": "0", "HOME": home,
	} {
		t.Setenv(name, value)
	}
	got, err := load(dsnFile(t, "host=h user=u dbname=d"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.RuntimeParams) != 1 || got.RuntimeParams["application_name"] != "dittofs" || got.Password != "" ||
		got.Port != 5432 ||
		got.TLSConfig == nil || got.ConnectTimeout != 10e9 || got.ValidateConnect != nil || got.ChannelBinding != "prefer" ||
		got.RequireAuth != "" ||
		got.SSLNegotiation != "" || got.MinProtocolVersion != "3.0" || got.SSLCertMode != "allow" ||
		got.TLSConfig.ServerName != "h" {
		t.Errorf("%+v", got.Config)
	}
	t.Setenv("PGSERVICE", "x")
	if _, err := load(dsnFile(t, "host=h user=u dbname=d")); err == nil ||
		!strings.HasSuffix(err.Error(), "the environment has PGSERVICE, which would change the connection; unset it") {
		t.Errorf("PGSERVICE: %v", err)
	}
}

func directory(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestADirectoryHasTheKeysOfASecret uses the keys that the operators write.
func TestADirectoryHasTheKeysOfASecret(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"CloudNativePG": {
			"dbname": "d", "host": "db-rw", "port": "5432", "user": "u", "username": "u", "password": "p/w",
			"pgpass":   "db-rw:5432:d:u:p/w\n",
			"uri":      "postgresql://u:p%2Fw@db-rw.ns:5432/d",
			"jdbc-uri": "jdbc:postgresql://db-rw.ns:5432/d?password=p%2Fw&user=u",
			"fqdn-uri": "postgresql://u:p%2Fw@db-rw.ns.svc.cluster.local:5432/d", "fqdn-jdbc-uri": "jdbc:postgresql://x",
		},
		"Percona and Crunchy": {
			"user": "u", "password": "p/w", "verifier": "SCRAM-SHA-256$x", "host": "primary", "port": "5432", "dbname": "d",
			"uri": "postgresql://u:p%2Fw@db-rw.ns:5432/d", "jdbc-uri": "jdbc:postgresql://x",
			"pgbouncer-host": "bouncer", "pgbouncer-port": "5432", "pgbouncer-uri": "postgresql://u:p@bouncer/d",
			"pgbouncer-jdbc-uri": "jdbc:postgresql://x",
		},
		"parts":               {"host": "db-rw.ns\n", "port": "5432\n", "user": "u\n", "password": "p/w\n", "dbname": "d\n"},
		"parts with username": {"host": "db-rw.ns", "username": "u", "password": "p/w", "dbname": "d"},
	} {
		c, err := load(directory(t, files))
		if err != nil || summary(c) != "u:p/w:db-rw.ns:5432/d" {
			t.Errorf("%s: %s, %v", name, summary(c), err)
		}
	}
	for want, files := range map[string]map[string]string{
		"the directory has neither uri nor host, user, password and dbname": {"tls.crt": ""},
		"it has no dbname":                                         {"host": "h", "user": "u"},
		"ca.crt has no certificate in PEM form":                    {"host": "h", "user": "u", "dbname": "d", "ca.crt": "x"},
		"uri: it is neither a postgres:// URI nor key=value pairs": {"uri": "jdbc:postgresql://h/d"},
		"password: it is larger than 65536 bytes":                  {"host": "h", "password": strings.Repeat("x", maxFile+1)},
	} {
		dir := directory(t, files)
		if _, err := load(dir); err == nil || err.Error() != "metadata.dsn_file "+dir+": "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// FuzzConnectionString compares with what pgx makes of the same text.
func FuzzConnectionString(f *testing.F) {
	for _, seed := range []string{
		"host=h user=u dbname=d", "host='a\\'b' user = u dbname=d password=\\ x",
		"postgres://u:p@h:1,g:2/d?sslmode=disable&connect_timeout=3",
		"postgresql://u:p%2F@[::1]:5/d", "postgres:///d?host=/x&user=u", "postgres://u@h?dbname=d",
		"host=h user=u dbname=d options='-c a=b'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSettings(text)
		if err != nil || s.check() != nil {
			return
		}
		for _, file := range []string{"sslcert", "sslkey", "sslrootcert", "passfile"} {
			if s[file] != "" {
				return
			}
		}
		got, err := configure(s)
		if err != nil {
			return
		}
		if text = strings.TrimLeft(text, spaces); strings.HasPrefix(text, "postgres") && strings.Contains(text, "://") {
			text = strings.TrimRight(text, spaces) // a file ends with a newline
		}
		want, err := pgx.ParseConfig(text)
		if err != nil {
			return // what libpq refuses and we can read is no harm
		}
		if summary(got) != summary(want) || len(got.Fallbacks) != len(want.Fallbacks) ||
			(got.TLSConfig == nil) != (want.TLSConfig == nil) {
			t.Errorf("%q: %s and %d more, pgx says %s and %d more",
				text, summary(got), len(got.Fallbacks), summary(want), len(want.Fallbacks))
		}
	})
}
