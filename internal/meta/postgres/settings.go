package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// settings are the parameters of a connection by the names of libpq. A
// connection string is taken apart here, and not by pgx, which lets the
// environment fill what is not in it and may quote a password in an error.
type settings map[string]string

// known are the parameters that are given to pgx.
var known = []string{
	"host", "port", "user", "password", "dbname", "passfile", "options", "application_name", "connect_timeout",
	"sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslsni", "sslcertmode", "sslnegotiation",
	"channel_binding", "require_auth", "krbsrvname", "krbspn", "target_session_attrs",
	"min_protocol_version", "max_protocol_version", "default_query_exec_mode",
}

// ignored are parameters of libpq that mean nothing here.
var ignored = []string{
	"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "client_encoding",
	"gssencmode", "gsslib", "gssdelegation", "sslcompression", "sslcrl", "sslcrldir", "ssl_min_protocol_version",
	"ssl_max_protocol_version", "fallback_application_name", "load_balance_hosts",
}

const spaces = " \t\r\n\v\f"

// parseSettings reads a connection string: a URI, or key=value pairs. Its
// errors name keys and never a value.
func parseSettings(text string) (settings, error) {
	s := settings{}
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("it has a NUL byte")
	}
	text = strings.TrimLeft(text, spaces)
	if text == "" {
		return nil, errors.New("it is empty")
	}
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			return s, s.parseURI(strings.TrimRight(rest, spaces))
		}
	}
	return s, s.parsePairs(text)
}

func (s settings) set(key, value string) error {
	if slices.Contains(ignored, key) {
		return nil
	}
	if !slices.Contains(known, key) {
		return fmt.Errorf("unknown key %s", safeName(key))
	}
	s[key] = value
	return nil
}

// safeName quotes a key for an error. What is no name may be a part of a
// password and is not shown.
func safeName(key string) string {
	for _, r := range key {
		if r != '_' && (r < 'a' || r > 'z') {
			return "(not a name)"
		}
	}
	if len(key) > 40 {
		return "(not a name)"
	}
	return fmt.Sprintf("%q", key)
}

// parseURI reads [user[:password]@][host[:port],...][/dbname][?key=value&...],
// the form of libpq with many hosts, which net/url refuses.
func (s settings) parseURI(text string) error {
	end := strings.IndexAny(text, "/?")
	if end < 0 {
		end = len(text)
	}
	authority, rest := text[:end], text[end:]
	hosts := authority
	if strings.Count(authority, "@") > 1 {
		return errors.New("its user or password has an @ that is not written as %40")
	}
	if at := strings.IndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		hosts = authority[at+1:]
		if err := errors.Join(s.decode("user", user), s.decode("password", password)); err != nil {
			return err
		}
	}
	path, query, _ := strings.Cut(rest, "?")
	if strings.ContainsRune(rest, '@') && !strings.Contains(authority, "@") {
		return errors.New("its user or password has a / or ? that is not written as %2F or %3F")
	}
	if err := s.parseHosts(hosts); err != nil {
		return err
	}
	if err := s.decode("dbname", strings.TrimPrefix(path, "/")); err != nil {
		return err
	}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, found := strings.Cut(pair, "=")
		if pair == "" {
			continue
		}
		if !found {
			return errors.New("a parameter after ? has no =")
		}
		if err := s.decode(key, value); err != nil {
			return err
		}
	}
	return nil
}

// decode sets key to a value that is percent-encoded; nothing, if it is empty.
func (s settings) decode(key, value string) error {
	if key == "ssl" && value == "true" { // as JDBC writes it
		key, value = "sslmode", "require"
	}
	plain, err := url.PathUnescape(value)
	if err != nil || strings.ContainsAny(value, spaces) || strings.ContainsRune(plain, 0) {
		return fmt.Errorf("the value of %s is not percent-encoded", safeName(key))
	}
	if plain == "" {
		return nil
	}
	return s.set(key, plain)
}

func (s settings) parseHosts(text string) error {
	var hosts, ports []string
	for part := range strings.SplitSeq(text, ",") {
		host, port, rest := part, "", ""
		if strings.HasPrefix(part, "[") {
			end := strings.IndexByte(part, ']')
			if end < 0 {
				return errors.New("its host has a [ without ]")
			}
			host, rest = part[1:end], part[end+1:]
		} else if colon := strings.IndexByte(part, ':'); colon >= 0 {
			host, rest = part[:colon], part[colon:]
		}
		if rest != "" {
			var ok bool
			if port, ok = strings.CutPrefix(rest, ":"); !ok {
				return errors.New("its host has something after the ]")
			}
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	port := strings.Join(ports, ",")
	if strings.Trim(port, ",") == "" {
		port = ""
	}
	return errors.Join(s.decode("host", strings.Join(hosts, ",")), s.decode("port", port))
}

// parsePairs reads key=value pairs, as libpq does: values with spaces are in
// single quotes, and a backslash takes the next character as it is.
func (s settings) parsePairs(text string) error {
	for text != "" {
		key, rest, found := strings.Cut(text, "=")
		key = strings.Trim(key, spaces)
		if !found || key == "" || strings.ContainsAny(key, spaces) {
			return errors.New("it is neither a postgres:// URI nor key=value pairs")
		}
		value, rest, err := cutValue(strings.TrimLeft(rest, spaces))
		if err != nil {
			return fmt.Errorf("the value of %s %w", safeName(key), err)
		}
		if err := s.set(key, value); err != nil {
			return err
		}
		text = strings.TrimLeft(rest, spaces)
	}
	return nil
}

func cutValue(text string) (value, rest string, err error) {
	var b strings.Builder
	quoted := strings.HasPrefix(text, "'")
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\'':
			return b.String(), text[i+1:], nil
		case !quoted && strings.IndexByte(spaces, c) >= 0:
			return b.String(), text[i:], nil
		case c == '\\':
			if i++; i < len(text) {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("has a quote that does not end")
	}
	return b.String(), "", nil
}

// check names what a connection cannot do without.
func (s settings) check() error {
	for _, key := range []string{"host", "user", "dbname"} {
		if s[key] == "" {
			return fmt.Errorf("it has no %s", key)
		}
	}
	if slices.Contains(strings.Split(s["host"], ","), "") {
		return errors.New("its list of hosts has an empty one")
	}
	return nil
}

// connString is s for pgx. It gives a value to every key that pgx would
// otherwise take from the environment or a home directory.
func (s settings) connString() string {
	var b strings.Builder
	for _, key := range known {
		value, given := s[key]
		if !given {
			value, given = defaults[key]
		}
		if given {
			fmt.Fprintf(&b, "%s='%s' ", key, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
		}
	}
	return b.String()
}

// defaults are those of libpq where they differ from pgx or its environment.
var defaults = settings{
	"port": "5432", "password": "", "passfile": "", "options": "", "application_name": "dittofs", "connect_timeout": "10",
	"sslmode": "prefer", "sslcert": "", "sslkey": "", "sslpassword": "", "sslrootcert": "", "sslsni": "1",
	"sslcertmode":    "allow",
	"sslnegotiation": "", "channel_binding": "prefer", "require_auth": "", "target_session_attrs": "any",
	"min_protocol_version": "", "max_protocol_version": "",
}
