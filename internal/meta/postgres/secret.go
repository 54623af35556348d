package postgres

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/smallfile"
)

// maxFile bounds a file that says how to connect, in bytes.
const maxFile = 64 << 10

// load reads the connection from a file or from a directory with the keys of a
// Secret. It is read anew for each connection, so that a changed password is
// used. Errors are *fault.Error.
func load(path string) (*pgx.ConnConfig, error) {
	if path == "" {
		return nil, misconfigured(errors.New("metadata.dsn_file is not set: name a file with a connection string, " +
			"or a directory with the keys of a Secret"))
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, misconfigured(fmt.Errorf("metadata.dsn_file: %w", err))
	}
	var s settings
	if info.IsDir() {
		s, err = readDirectory(path)
	} else {
		s, err = readFile(path)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, misconfigured(fmt.Errorf("metadata.dsn_file %s: %w", path, err))
	}
	config, err := configure(s)
	if err != nil {
		return nil, misconfigured(fmt.Errorf("metadata.dsn_file %s: %w", path, err))
	}
	return config, nil
}

func misconfigured(err error) error {
	return &fault.Error{
		Store: store, Reason: fault.InvalidConfiguration, Message: oneLine(err.Error()),
		Lasting: !disk.Passing(err), Err: err,
	}
}

func readFile(path string) (settings, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return parseSettings(text)
}

// readDirectory reads the keys of a Secret, as CloudNativePG, Percona and
// Crunchy write them: uri if there is one, else its parts.
func readDirectory(dir string) (settings, error) {
	s := settings{}
	get := func(key string) (string, error) {
		text, err := readBounded(filepath.Join(dir, key))
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return strings.TrimRight(text, "\r\n"), err
	}
	uri, err := get("uri")
	if err != nil {
		return nil, err
	}
	keys := []string{"sslmode"}
	if uri == "" {
		keys = []string{"host", "port", "user", "username", "password", "dbname", "sslmode"}
	} else if s, err = parseSettings(uri); err != nil {
		return nil, fmt.Errorf("uri: %w", err)
	}
	for _, key := range keys {
		value, err := get(key)
		if err != nil {
			return nil, err
		}
		if key == "username" {
			key = "user"
		}
		if value != "" && s[key] == "" {
			s[key] = value
		}
	}
	if s["host"] == "" && len(s) == 0 {
		return nil, errors.New("the directory has neither uri nor host, user, password and dbname")
	}
	return s, s.trustCA(filepath.Join(dir, "ca.crt"))
}

// trustCA makes the certificates in path, if it exists, the only ones that are
// trusted. Without a mode of its own the connection then demands one of them,
// for the name of the host.
func (s settings) trustCA(path string) error {
	text, err := readBounded(path)
	if errors.Is(err, os.ErrNotExist) || s["sslrootcert"] != "" {
		return nil
	}
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		return errors.New("ca.crt has no certificate in PEM form")
	}
	s["sslrootcert"] = path
	if s["sslmode"] == "" {
		s["sslmode"] = "verify-full"
	}
	return nil
}

func readBounded(path string) (text string, err error) {
	b, err := smallfile.Read(path, maxFile)
	if at := (*fs.PathError)(nil); smallfile.Unfit(err) && errors.As(err, &at) {
		err = fmt.Errorf("%s: %w", filepath.Base(path), at.Err)
	}
	return string(b), err
}

// checkFiles refuses what pgx would wait for or read without end. What is missing or
// cannot be read it says itself.
func (s settings) checkFiles() error {
	for _, key := range []string{"passfile", "sslcert", "sslkey", "sslrootcert"} {
		if s[key] == "" || s[key] == os.DevNull { // which is how one says that there is none
			continue
		}
		if err := smallfile.Check(s[key], maxFile); smallfile.Unfit(err) {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// configure is s in the form of pgx.
func configure(s settings) (*pgx.ConnConfig, error) {
	if name := os.Getenv("PGSERVICE"); name != "" {
		return nil, errors.New("the environment has PGSERVICE, which would change the connection; unset it")
	}
	if strings.Contains(s["host"], ",") && s["target_session_attrs"] == "" {
		s["target_session_attrs"] = "read-write"
	}
	if err := s.checkFiles(); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(s.connString())
	if err != nil {
		return nil, errors.New(reasonOf(err, s))
	}
	for key, value := range config.RuntimeParams {
		if value == "" { // given only to hide the environment
			delete(config.RuntimeParams, key)
		}
	}
	delete(config.RuntimeParams, "timezone") // PGTZ
	config.DialFunc = dialer.DialContext
	return config, nil
}

// reasonOf is what pgx says of a connection string, without the string.
func reasonOf(err error, s settings) string {
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		text = text[i+3:]
	}
	for _, key := range []string{"password", "sslpassword"} {
		if s[key] != "" {
			text = strings.ReplaceAll(text, s[key], "xxxxx")
		}
	}
	return text
}
