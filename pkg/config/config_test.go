package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

const minimal = "cache: {path: /c}\nshares: [{name: export}]\n"

// lines returns the message of a refused configuration, one line per fault.
func lines(t *testing.T, text string, environ ...string) []string {
	t.Helper()
	_, _, err := config.Parse([]byte(text), environ)
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("want an InvalidError, got %v", err)
	}
	return strings.Split(err.Error(), "\n")
}

// others are the warnings but the one of a top directory that nobody can write, which
// the smallest file has.
func others(warnings config.Warnings) string {
	return slices.DeleteFunc(slices.Clone(warnings), func(f config.Fault) bool {
		return strings.Contains(f.Message, "nobody can write")
	}).String()
}

func parse(t *testing.T, text string, environ ...string) *config.Config {
	t.Helper()
	c, warnings, err := config.Parse([]byte(text), environ)
	if err != nil || others(warnings) != "" {
		t.Fatalf("Parse: %v, warnings %v", err, warnings)
	}
	return c
}

func TestMinimalFileGetsEveryDefault(t *testing.T) {
	got := parse(t, minimal)
	want := config.Default()
	want.Cache.Path = "/c"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	got := parse(t, `
cache: {path: /v/cache, size: 1TiB, flush_interval: 2s, full_timeout: 1m, page_size: 256KiB, read_ahead: 0}
metadata: {type: postgres, cache: 64MiB, dsn_file: /s/dsn, max_connections: 20, owner_lease: 30s}
content:
  type: s3
  bucket: my-bucket
  endpoint: https://s3.example.org:9000
  region: eu-west-1
  prefix: a/b/
  credentials_file: /s/credentials
  ca_file: /s/ca.crt
  addressing: virtual
  part_size: 8MiB
  parallel_transfers: 4
durability: remote
compaction: {garbage_percent: 40, rate: 8MiB}
backup: {every: 1h30m, keep: 7}
nfs: {listen: "[::]:12049", versions: [3], lease: 15s}
admin: {listen: "127.0.0.1:80", socket: /run/dittofs.sock, token_file: /s/token}
logging: {level: debug, format: json}
lock_timeout: 2m
shutdown_delay: 5s
shutdown_timeout: 1m30s
shares:
  - name: a
    path: /deep/er
    clients: [{cidr: 10.1.2.3/8, access: ro}, {cidr: "fd00::/8"}]
    squash: all
    anonymous: {uid: 99, gid: 4294967294}
    root: {uid: 1000, gid: 1001, mode: 01777}
    quota: {bytes: 100GiB, inodes: 1000000}
    read_only: true
`)
	want := &config.Config{
		Cache: config.Cache{Path: "/v/cache", Size: 1 << 40, FlushInterval: 2e9, FullTimeout: 60e9, PageSize: 256 << 10},
		Metadata: config.Metadata{
			Type: config.MetadataPostgres, Cache: 64 << 20, DSNFile: "/s/dsn", MaxConnections: 20, OwnerLease: 30e9,
		},
		Content: config.Content{
			Type: config.ContentS3, Bucket: "my-bucket", Endpoint: "https://s3.example.org:9000",
			Region: "eu-west-1", Prefix: "a/b/",
			CredentialsFile: "/s/credentials", CAFile: "/s/ca.crt", Addressing: config.AddressingVirtual, PartSize: 8 << 20,
			ParallelTransfers: 4,
		},
		Durability:      config.DurabilityRemote,
		Compaction:      config.Compaction{GarbagePercent: 40, Rate: 8 << 20},
		Backup:          config.Backup{Every: 5400e9, Keep: 7},
		NFS:             config.NFS{Listen: "[::]:12049", Versions: []string{"3"}, Lease: 15e9},
		Admin:           config.Admin{Listen: "127.0.0.1:80", Socket: "/run/dittofs.sock", TokenFile: "/s/token"},
		Logging:         config.Logging{Level: "debug", Format: "json"},
		LockTimeout:     120e9,
		ShutdownDelay:   5e9,
		ShutdownTimeout: 90e9,
		Shares: []config.Share{{
			Name: "a", Path: "/deep/er",
			Clients: []config.Client{
				{CIDR: "10.1.2.3/8", Access: config.AccessReadOnly}, {CIDR: "fd00::/8", Access: config.AccessReadWrite},
			},
			Squash:    config.SquashAll,
			Anonymous: config.Identity{UID: 99, GID: 4294967294},
			Root:      config.Root{UID: 1000, GID: 1001, Mode: "01777"},
			Quota:     config.Quota{Bytes: 100 << 30, Inodes: 1e6},
			ReadOnly:  true,
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestRefusalsNameTheKeyAndTheFix holds the exact text of every refusal of one
// value: it is what a user reads, and the operator shows the same.
func TestRefusalsNameTheKeyAndTheFix(t *testing.T) {
	share := func(rest string) string { return "cache: {path: /c}\nshares:\n  - name: export\n    " + rest + "\n" }
	with := func(rest string) string { return minimal + rest + "\n" }
	tests := []struct{ name, text, want string }{
		{"no cache.path", "shares: [{name: a}]", "cache.path is required: a directory for the journal"},
		{"empty cache.path", "cache: {path: ''}\nshares: [{name: a}]", "cache.path: is empty; give a value, or remove the key to use its default (line 1)"},
		{"relative cache.path", "cache: {path: c}\nshares: [{name: a}]", `cache.path: "c" is not an absolute path (example: /var/lib/dittofs/cache) (line 1)`},
		{"small cache", "cache: {path: /c, size: 63MiB}\nshares: [{name: a}]", "cache.size: 63MiB is too small (at least 64MiB) (line 1)"},
		{"bad size", "cache: {path: /c, size: 10 gigs}\nshares: [{name: a}]", `cache.size: "10 gigs" is not a size in bytes (examples: 1048576, 64MiB, 10GiB, 5GB) (line 1)`},
		{"huge size", "cache: {path: /c, size: 8192PiB}\nshares: [{name: a}]", `cache.size: "8192PiB" is too large (at most 8191PiB) (line 1)`},
		{"stores in one directory", with("metadata: {path: /c}"), `metadata.path: "/c" and cache.path ("/c") must be separate directories, neither inside the other (line 3)`},
		{"store inside another", with("content: {path: /c/content}"), `content.path: "/c/content" and cache.path ("/c") must be separate directories, neither inside the other (line 3)`},
		{"postgres", with("metadata: {type: postgres}"), `metadata.dsn_file is required by metadata.type postgres: a file with a connection string, or a directory with the keys of a Secret`},
		{"s3", with("content: {type: s3}"), `content.bucket is required by content.type s3`},
		{"bucket", with("content: {type: s3, bucket: a/b}"), `content.bucket: "a/b" is not a bucket name (3 to 255 letters, digits, "-", "." and "_", first and last a letter or digit) (line 3)`},
		{"endpoint", with("content: {type: s3, bucket: abc, endpoint: 's3.example.org'}"), `content.endpoint: "s3.example.org" is not a URL (example: https://s3.example.org or http://10.0.0.7:9000) (line 3)`},
		{"endpoint with path", with("content: {type: s3, bucket: abc, endpoint: 'http://h/b'}"), `content.endpoint: "http://h/b" has more than a host; the bucket goes into content.bucket, a path into content.prefix (line 3)`},
		{"endpoint with secret", with("content: {type: s3, bucket: abc, endpoint: 'http://u:p@h'}"), `content.endpoint: must not hold credentials; put them into content.credentials_file (line 3)`},
		{"addressing", with("content: {type: s3, bucket: abc, endpoint: 'http://10.0.0.1', addressing: virtual}"), `content.addressing: virtual needs an endpoint with a host name, "10.0.0.1" is an address; use path (line 3)`},
		{"prefix", with("content: {type: s3, bucket: abc, prefix: /a}"), `content.prefix: "/a" is not a prefix (at most 512 letters, digits, "-", "_", "." and "/"; example: nas/) (line 3)`},
		{"part size", with("content: {type: s3, bucket: abc, part_size: 1MiB}"), `content.part_size: 1MiB is not between 5MiB and 1GiB (line 3)`},
		{"transfers", with("content: {type: s3, bucket: abc, parallel_transfers: 65}"), `content.parallel_transfers: 65 is not between 1 and 64 (line 3)`},
		{"page size", "cache: {path: /c, page_size: 100KiB}\nshares: [{name: a}]\n", `cache.page_size: 100KiB is not a power of two from 64KiB to 16MiB (line 1)`},
		{"relative socket", with("admin: {socket: control.sock}"), `admin.socket: "control.sock" is not an absolute path (example: /etc/dittofs/secret) (line 3)`},
		{"long socket", with("admin: {socket: /" + strings.Repeat("s", 107) + "}"), `admin.socket: "/` + strings.Repeat("s", 107) + `" is longer than 107 bytes, which the path of a unix socket may have (line 3)`},
		{"socket in a store", with("admin: {socket: /var/lib/dittofs/content/s}"), `admin.socket: "/var/lib/dittofs/content/s" is inside content.path, which belongs to a store; take another directory (line 3)`},
		{"relative token file", with("admin: {token_file: token}"), `admin.token_file: "token" is not an absolute path (example: /etc/dittofs/secret) (line 3)`},
		{"dsn file", with("metadata: {type: postgres, dsn_file: dsn}"), `metadata.dsn_file: "dsn" is not an absolute path (example: /etc/dittofs/secret) (line 3)`},
		{"metadata cache", with("metadata: {cache: 512KiB}"), `metadata.cache: 512KiB is not between 1MiB and 1TiB (line 3)`},
		{"huge metadata cache", with("metadata: {type: postgres, dsn_file: /dsn, cache: 2TiB}"), `metadata.cache: 2TiB is not between 1MiB and 1TiB (line 3)`},
		{"connections", with("metadata: {type: postgres, dsn_file: /dsn, max_connections: 1}"), `metadata.max_connections: 1 is not between 2 and 100 (line 3)`},
		{"compaction", with("compaction: {garbage_percent: 3}"),
			"compaction.garbage_percent: 3 is not between 5 and 100 (100 turns compaction off) (line 3)"},
		{"compaction rate", with("compaction: {rate: 100}"), "compaction.rate: 100 is not between 1MiB and 64GiB (line 3)"},
		{"durability", with("durability: never"), `durability: "never" is not one of local, remote (line 3)`},
		{"backup too often", with("backup: {every: 10s}"), `backup.every: 10s is not between 1m and 720h (0s: none by schedule) (line 3)`},
		{"backup into memory", with("content: {type: memory}\nbackup: {every: 1h}"), `backup.every: 1h0m0s is of no use with a store that is memory, which ends with the server; remove the key (line 4)`},
		{"too many backups", with("backup: {keep: 1001}"), `backup.keep: 1001 is not between 1 and 1000 (line 3)`},
		{"unknown store", with("metadata: {type: sqlite}"), `metadata.type: "sqlite" is not one of memory, pebble, postgres (line 3)`},
		{"unknown NFS version", with(`nfs: {versions: ["3", "5"]}`), `nfs.versions[1]: "5" is not an NFS version (known: "3", "4.0", "4.1", "4.2") (line 3)`},
		{"NFS version twice", with(`nfs: {versions: ["3", "3"]}`), `nfs.versions[1]: "3" is listed twice (line 3)`},
		{"no served version", with(`nfs: {versions: ["4.1"]}`), `nfs.versions: lists no version that is served; add "3" (line 3)`},
		{"no version", with(`nfs: {versions: []}`), `nfs.versions: lists no version that is served; add "3" (line 3)`},
		{"address without port", with("nfs: {listen: localhost}"), `nfs.listen: "localhost" is not host:port (example: 127.0.0.1:2049) (line 3)`},
		{"port too large", with("nfs: {listen: ':65536'}"), `nfs.listen: port "65536" is not a number from 0 to 65535 (line 3)`},
		{"bad host", with("nfs: {listen: 'a b:1'}"), `nfs.listen: "a b" is not an IP address or host name (line 3)`},
		{"one address twice", with("admin: {listen: '127.0.0.1:2049'}"), `admin.listen: "127.0.0.1:2049" is the address of nfs.listen; take another port (line 3)`},
		{"lease too short", with("nfs: {lease: 10ms}"), "nfs.lease: 10ms is not between 1s and 1h (line 3)"},
		{"endless wait", with("lock_timeout: 1h"), "lock_timeout: 1h0m0s is not between 0s and 10m (line 3)"},
		{"endless delay", with("shutdown_delay: 6m"), "shutdown_delay: 6m0s is not between 0s and 5m (line 3)"},
		{"duration without unit", with("shutdown_timeout: 30"), `shutdown_timeout: "30" is not a duration (examples: 30s, 1m30s) (line 3)`},
		{"log level", with("logging: {level: verbose}"), `logging.level: "verbose" is not one of debug, info, warn, error (line 3)`},
		{"log format", with("logging: {format: xml}"), `logging.format: "xml" is not one of text, json (line 3)`},

		{"no shares", "cache: {path: /c}", "shares: at least one share is required (example: shares: [{name: export}])"},
		{"empty list of shares", "cache: {path: /c}\nshares: []", "shares: at least one share is required (example: shares: [{name: export}]) (line 2)"},
		{"shares without a value", "cache: {path: /c}\nshares:\n", "shares: has no value; give one, or remove the key to use its default (line 2)"},
		{"share without name", "cache: {path: /c}\nshares:\n  - path: /a\n", "shares[0].name is required (line 3)"},
		{"share name", "cache: {path: /c}\nshares: [{name: My Share}]", `shares[0].name: "My Share" is not a share name (1 to 63 of a-z, 0-9, "-", "." and "_", first a letter or digit) (line 2)`},
		{"share is text", "cache: {path: /c}\nshares: [export]", `shares[0]: must be a section of keys, not "export" (line 2)`},
		{"shares is a section", "cache: {path: /c}\nshares: {name: export}", "shares: must be a list, not a section of keys (line 2)"},
		{"share name twice", share("path: /a\n  - {name: export, path: /b}"), `shares[1].name: "export" is the name of shares[0] already; every share needs its own (line 5)`},
		{"share path twice", share("path: /a\n  - {name: b, path: /a}"), `shares[1].path: "/a" is the path of shares[0] already; every share needs its own (line 5)`},
		{"relative share path", share("path: export"), `shares[0].path: "export" is not an absolute path (example: /export) (line 4)`},
		{"unclean share path", share("path: /a/../b/"), `shares[0].path: "/a/../b/" is not a clean path; write "/b" (line 4)`},
		{"bad CIDR", share("clients: [{cidr: 10.0.0.0/33}]"), `shares[0].clients[0].cidr: "10.0.0.0/33" is not a CIDR (example: 10.0.0.0/8) (line 4)`},
		{"address for a CIDR", share("clients: [{cidr: 10.0.0.7}]"), `shares[0].clients[0].cidr: "10.0.0.7" is not a CIDR; for one address write 10.0.0.7/32 (line 4)`},
		{"mapped CIDR", share("clients: [{cidr: '::ffff:10.0.0.0/104'}]"), `shares[0].clients[0].cidr: "::ffff:10.0.0.0/104" is an IPv4 address in IPv6 form; write it as IPv4 (example: 10.0.0.0/8) (line 4)`},
		{"client without CIDR", share("clients: [{access: ro}]"), "shares[0].clients[0].cidr is required (example: 10.0.0.0/8) (line 4)"},
		{"no clients", share("clients: []"), "shares[0].clients: is empty, so nobody could use the share; list a CIDR, or remove the key to allow everyone (line 4)"},
		{"secure", share("clients: [{cidr: 0.0.0.0/0, secure: yes}]"), `shares[0].clients[0].secure: "yes" is not true or false (line 4)`},
		{"access", share("clients: [{cidr: 0.0.0.0/0, access: write}]"), `shares[0].clients[0].access: "write" is not one of rw, ro (line 4)`},
		{"squash", share("squash: nobody"), `shares[0].squash: "nobody" is not one of root, all, none (line 4)`},
		{"mode", share("root: {mode: 0888}"), `shares[0].root.mode: "0888" is not an octal mode (examples: "0755", "1777") (line 4)`},
		{"mode too large", share("root: {mode: '17777'}"), `shares[0].root.mode: "17777" is not an octal mode (examples: "0755", "1777") (line 4)`},
		{"user -1", share("anonymous: {uid: 4294967295}"), "shares[0].anonymous.uid: 4294967295 is no user or group (0 to 4294967294; 65534 is nobody) (line 4)"},
		{"group -1", share("anonymous: {gid: 4294967295}"), "shares[0].anonymous.gid: 4294967295 is no user or group (0 to 4294967294; 65534 is nobody) (line 4)"},
		{"owner -1", share("root: {uid: 4294967295}"), "shares[0].root.uid: 4294967295 is no user or group (0 to 4294967294; 65534 is nobody) (line 4)"},
		{"owning group -1", share("root: {gid: 4294967295}"), "shares[0].root.gid: 4294967295 is no user or group (0 to 4294967294; 65534 is nobody) (line 4)"},
		{"inodes beyond int64", share("quota: {inodes: 9223372036854775808}"), "shares[0].quota.inodes: 9223372036854775808 is more than 9223372036854775807 (line 4)"},
		{"negative user", share("anonymous: {uid: -2}"), `shares[0].anonymous.uid: "-2" is not a whole number from 0 to 4294967295 (line 4)`},
		{"user too large", share("anonymous: {uid: 4294967296}"), `shares[0].anonymous.uid: "4294967296" is not a whole number from 0 to 4294967295 (line 4)`},
		{"number as text", share(`quota: {inodes: "5"}`), `shares[0].quota.inodes: "5" is not a whole number from 0 to 18446744073709551615 (line 4)`},
		{"boolean", share("read_only: yes"), `shares[0].read_only: "yes" is not true or false (line 4)`},
		{"boolean as text", share("path: true"), "shares[0].path: must be text, not the boolean true; put it in quotes (line 4)"},
		{"list for text", share("path: [/a]"), "shares[0].path: must be text, not a list (line 4)"},
		{"section for size", share("quota: {bytes: {GiB: 1}}"), "shares[0].quota.bytes: must be a size such as 10GiB, not a section of keys (line 4)"},

		{"unknown key", "cache: {path: /c, siez: 1GiB}\nshares: [{name: a}]", "unknown key cache.siez (line 1); did you mean cache.size?"},
		{"unknown key at the top", with("share: []"), "unknown key share (line 3); did you mean shares?"},
		{"key of another case", with("Durability: local"), "unknown key Durability (line 3); did you mean durability?"},
		{"key of another section", with("listen: ':1'"), "unknown key listen (line 3); did you mean nfs.listen?"},
		{"key like no other", with("admin: {frobnicate: 1}"), "unknown key admin.frobnicate (line 3); known keys: listen, socket, token_file"},
		{"unknown key of a share", share("readonly: true"), "unknown key shares[0].readonly (line 4); did you mean shares[0].read_only?"},
		{"duplicate key", with("durability: local\ndurability: local"), "duplicate key durability (line 4); first on line 3"},
		{"key that is a list", with("[a, b]: 1"), "a key must be a plain name (line 3)"},
		{"alias", with("nfs: {lease: &l 90s}\nshutdown_timeout: *l"), "shutdown_timeout: is an alias (*l), which is not allowed: write the value out (line 4)"},
		{"tag", with("durability: !!binary bG9jYWw="), `durability: has the tag "!!binary"; tags are not allowed (line 3)`},
		{"control character", share(`path: "/a\tb"`), `shares[0].path: "/a\tb" is not UTF-8 without control characters (line 4)`},
		{"merge key", with("admin: {<<: {listen: ''}}"), "admin.<<: merge keys are not allowed (line 3); write the values out"},
		{"two documents", with("---\na: 1"), "the configuration must be one YAML document, but a second one begins (line 3)"},
		{"no section at the top", "- a\n", "the configuration must be a section of keys, not a list (line 1)"},
		{"not YAML", "cache: {path: /c\n", "not valid YAML: did not find expected ',' or '}' (line 1)"},
		{"not text", "cache: \xff\xfe", "not valid YAML: invalid leading UTF-8 octet"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(t, test.text); len(got) != 1 || got[0] != test.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), test.want)
			}
		})
	}
}

func TestAllFaultsOfAFileAreFoundAtOnce(t *testing.T) {
	got := lines(t, `cache:
  pth: /var/lib/dittofs/cache
metadata: {type: postgres}
shares:
  - name: a
    squash: 7
    clients:
      - cidr: 10.0.0.0/33
  - name: a
    path: /other
`)
	want := []string{
		"unknown key cache.pth (line 2); did you mean cache.path?",
		`shares[0].squash: "7" is not one of root, all, none (line 6)`,
		`shares[0].clients[0].cidr: "10.0.0.0/33" is not a CIDR (example: 10.0.0.0/8) (line 8)`,
		`shares[1].name: "a" is the name of shares[0] already; every share needs its own (line 9)`,
		"cache.path is required: a directory for the journal",
		"metadata.dsn_file is required by metadata.type postgres: a file with a connection string, or a directory with the keys of a Secret",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFaultsCarryPathAndLineForPrograms(t *testing.T) {
	_, _, err := config.Parse([]byte("cache: {path: /c}\nshares: [{name: a, squash: x}]"), nil)
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Faults) != 1 {
		t.Fatalf("got %v", err)
	}
	if f := invalid.Faults[0]; f.Path != "shares[0].squash" || f.Line != 2 {
		t.Errorf("got %+v", f)
	}
}

func TestWarningsDoNotPreventLoading(t *testing.T) {
	c, warnings, err := config.Parse([]byte(`cache: {path: /c}
metadata: {type: memory, path: /m}
nfs: {versions: ["3", "4.1"]}
shares:
  - name: a
    clients: [{cidr: 0.0.0.0/0}, {cidr: 10.0.0.0/8}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `metadata.path: is not used, because metadata.type is memory (line 2)
nfs.versions[1]: "4.1" is not served by this version; it serves "3" (line 3)
shares[0].clients[1].cidr: 10.0.0.0/8 is never reached, because 0.0.0.0/0 comes before it (line 6)`
	if others(warnings) != want {
		t.Errorf("got\n%s\nwant\n%s", warnings, want)
	}
	if c.Metadata.Path != "" {
		t.Errorf("metadata.path is %q though the store is in memory", c.Metadata.Path)
	}
}

func TestInputIsBounded(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"file":    {strings.Repeat("#", config.MaxFileSize+1), "the configuration is larger than 1MiB"},
		"shares":  {"cache: {path: /c}\nshares: [" + strings.Repeat("{},", 1025) + "]", "shares: has 1025 entries; at most 1024 are allowed (line 2)"},
		"clients": {"cache: {path: /c}\nshares: [{name: a, clients: [" + strings.Repeat("{cidr: 0.0.0.0/0},", 1025) + "]}]", "shares[0].clients: has 1025 entries; at most 1024 are allowed (line 2)"},
		"faults":  {minimal + strings.Repeat("? [x]\n", 1000), "and 900 more faults"},
		"nesting": {strings.Repeat("[", 100_000), "not valid YAML: exceeded max depth of 10000"},
		"aliases": {minimal + "a: &a [x]\nb: &b [*a,*a]\ndurability: *b", "durability: is an alias (*b), which is not allowed: write the value out (line 5)"},
	} {
		t.Run(name, func(t *testing.T) {
			got := lines(t, test.text)
			if got[len(got)-1] != test.want {
				t.Errorf("got  %s\nwant %s", got[len(got)-1], test.want)
			}
		})
	}
}

func TestLoadReadsAFileAndNamesAMissingOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if _, _, err := config.Load(path, nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, _, err := config.Load(path, nil); err != nil || c.Cache.Path != "/c" {
		t.Errorf("got %+v, %v", c, err)
	}
}
