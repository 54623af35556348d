package config_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dittofs/dittofs/pkg/config"
)

// anyConfig draws valid configurations, with and without their defaults.
func anyConfig(t *rapid.T) *config.Config {
	c := &config.Config{
		Cache: config.Cache{Path: "/c/x" + name("cache").Draw(t, "cache"), Size: anySize(t, config.MinCacheSize)},
		Metadata: config.Metadata{
			Type: rapid.SampledFrom([]config.MetadataType{"", "memory", "pebble"}).Draw(t, "metadata"),
		},
		Content: config.Content{
			Type: rapid.SampledFrom([]config.ContentType{"", "memory", "filesystem"}).Draw(t, "content"),
		},
		NFS: config.NFS{
			Listen: rapid.SampledFrom([]string{"", ":0", "[::1]:2049", "nfs.example:1"}).Draw(t, "listen"),
		},
		Admin:           config.Admin{Listen: rapid.SampledFrom([]string{"", "0.0.0.0:8080"}).Draw(t, "admin")},
		Logging:         config.Logging{Level: rapid.SampledFrom([]string{"", "debug", "error"}).Draw(t, "level")},
		LockTimeout:     config.Duration(rapid.Int64Range(0, 600e9).Draw(t, "lock")),
		ShutdownDelay:   config.Duration(rapid.Int64Range(0, 300e9).Draw(t, "delay")),
		ShutdownTimeout: config.Duration(rapid.Int64Range(1e9, 3600e9).Draw(t, "timeout")),
	}
	if rapid.Bool().Draw(t, "odd path") {
		c.Metadata = config.Metadata{Type: config.MetadataPebble, Path: "/m/x" + text.Draw(t, "path")}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "shares") {
		c.Shares = append(c.Shares, anyShare(t, string(rune('a'+i))))
	}
	return c
}

func anyShare(t *rapid.T, prefix string) config.Share {
	s := config.Share{
		Name:      prefix + name("name").Draw(t, "name"),
		Squash:    rapid.SampledFrom([]config.Squash{"", "root", "all", "none"}).Draw(t, "squash"),
		Anonymous: config.Identity{UID: anyID.Draw(t, "uid"), GID: anyID.Draw(t, "gid")},
		Root: config.Root{
			UID: anyID.Draw(t, "root"), Mode: rapid.SampledFrom([]string{"", "0755", "777", "01777"}).Draw(t, "mode"),
		},
		Quota:    config.Quota{Bytes: anySize(t, 0), Inodes: rapid.Uint64Max(math.MaxInt64).Draw(t, "inodes")},
		ReadOnly: rapid.Bool().Draw(t, "read_only"),
	}
	if rapid.Bool().Draw(t, "own path") {
		s.Path = "/" + prefix + text.Draw(t, "path")
	}
	if rapid.Bool().Draw(t, "own clients") {
		s.Clients = []config.Client{{CIDR: "10.0.0.0/8", Access: "ro"}, {CIDR: "fd00::/8", Secure: true}}
	}
	return s
}

// anyID draws users and groups: -1 is none.
var anyID = rapid.Uint32Max(math.MaxUint32 - 1)

func anySize(t *rapid.T, least config.Size) config.Size {
	unit := rapid.SampledFrom([]int64{1, 1000, 1 << 10, 1 << 20, 1 << 30, 1 << 40}).Draw(t, "unit")
	return max(least, config.Size(unit*rapid.Int64Range(0, 1<<20).Draw(t, "units")))
}

func name(label string) *rapid.Generator[string] { return rapid.StringMatching(`[a-z0-9._-]{0,20}`) }

// text is one part of a path: anything but control characters, "/" and what
// path.Clean would remove.
var text = rapid.StringOfN(rapid.RuneFrom([]rune("aZ0 #:'\"{}[]&*!|>%@`,?-~=<é日😀\u00a0\u2028\ufeff\\")), 1, 20, -1)

func TestMarshalledConfigurationsParseToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyConfig(t)
		out, err := config.Marshal(want)
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		got, _, err := config.Parse(out, nil)
		if err != nil {
			t.Fatalf("Parse: %v\n%s", err, out)
		}
		want.Defaults()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v\n%s", got, want, out)
		}
		again, err := config.Marshal(got)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("a second Marshal differs (%v):\n%s\n%s", err, out, again)
		}
	})
}

func TestMarshalRefusesWhatParseWouldRefuse(t *testing.T) {
	c := config.Default()
	c.Cache.Path = ""
	c.Shares[0].Clients[0].CIDR = "10.0.0.0/40"
	_, err := config.Marshal(c)
	want := "cache.path is required: a directory for the journal\n" +
		`shares[0].clients[0].cidr: "10.0.0.0/40" is not a CIDR (example: 10.0.0.0/8)`
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestMarshalLeavesItsArgumentAlone(t *testing.T) {
	c := &config.Config{Cache: config.Cache{Path: "/c"}, Shares: []config.Share{{Name: "a"}}}
	if _, err := config.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if c.Shares[0].Path != "" || c.NFS.Listen != "" {
		t.Errorf("changed: %+v", c)
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "7": 7, "1KiB": 1024, "64 MiB": 64 << 20, "10GiB": 10 << 30, "2TiB": 2 << 40, "1PiB": 1 << 50,
		"12B": 12, "3kB": 3000, "5GB": 5e9, "8191PiB": 8191 << 50,
	} {
		got, err := config.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
		if back, err := config.ParseSize(got.String()); err != nil || back != got {
			t.Errorf("%s is written as %s, which is %d, %v", text, got, back, err)
		}
	}
	for _, text := range []string{
		"", "GiB", "-1", "+1", "1.5GiB", "10Gi", "1 B B", "1e3", "0x10", "18446744073709551615", "99999999999999999999",
		"9223372036854775808", "8192PiB", strings.Repeat("9", 10_000),
	} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%s was read as %d", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	def, err := config.Marshal(config.Default())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		minimal, string(def), "", "a: &a [*a]", "? {}\n: - [", "shares: [{quota: {bytes: 1e9}}]", "<<: {cache: {path: /c}}",
		"---\n...\n---", "{cache: {path: !!binary Lw==}}",
	} {
		f.Add([]byte(seed), "DITTOFS_SHARES_0_PATH=/x")
		f.Add([]byte(seed), "DITTOFS_NFS_VERSIONS_1=3")
	}
	f.Fuzz(func(t *testing.T, data []byte, entry string) {
		c, _, err := config.Parse(data, []string{entry})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.TrimSpace(line) == "" || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
					t.Errorf("a fault is not one line of text: %q", err.Error())
				}
			}
			return
		}
		out, err := config.Marshal(c)
		if err != nil {
			t.Fatalf("accepted, but cannot be marshalled: %v\n%s", err, data)
		}
		back, _, err := config.Parse(out, nil)
		if err != nil || !reflect.DeepEqual(c, back) {
			t.Fatalf("changed on the way (%v):\n%+v\n%+v\n%s", err, c, back, out)
		}
	})
}
