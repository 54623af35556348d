package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ServedVersions are the NFS versions that this version of the server speaks.
var ServedVersions = []string{"3"}

// MinCacheSize is the least value of cache.size, in bytes.
const MinCacheSize Size = 64 << 20

// knownVersions may be asked for, so that one file serves several versions of
// the server.
var knownVersions = []string{"3", "4.0", "4.1", "4.2"}

// Validate checks a complete configuration (see Defaults). The error is an
// *InvalidError with every fault.
func (c *Config) Validate() (Warnings, error) {
	faults, warnings := check(c)
	r := report{faults: faults}
	return warnings, r.err()
}

// checker collects faults and warnings of values.
type checker struct {
	faults, warnings []Fault
}

func (k *checker) fault(path, format string, args ...any) {
	k.faults = append(k.faults, Fault{Path: path, Message: path + ": " + fmt.Sprintf(format, args...)})
}

func (k *checker) warn(path, format string, args ...any) {
	k.warnings = append(k.warnings, Fault{Path: path, Message: path + ": " + fmt.Sprintf(format, args...)})
}

func check(c *Config) (faults, warnings []Fault) {
	k := &checker{}
	k.cache(c.Cache)
	k.metadata(c.Metadata)
	k.content(c.Content)
	oneOf(k, "durability", c.Durability, DurabilityLocal, DurabilityRemote)
	k.backup(c)
	k.directories(c)
	k.nfs(c.NFS)
	k.admin(c)
	oneOf(k, "logging.level", c.Logging.Level, "debug", "info", "warn", "error")
	oneOf(k, "logging.format", c.Logging.Format, "text", "json")
	if d := c.LockTimeout.Duration(); d < 0 || d > 10*time.Minute {
		k.fault("lock_timeout", "%s is not between 0s and 10m", c.LockTimeout)
	}
	if d := c.ShutdownDelay.Duration(); d < 0 || d > 5*time.Minute {
		k.fault("shutdown_delay", "%s is not between 0s and 5m", c.ShutdownDelay)
	}
	k.duration("shutdown_timeout", c.ShutdownTimeout)
	k.compaction(c.Compaction)
	k.shares(c.Shares)
	return k.faults, k.warnings
}

func (k *checker) cache(c Cache) {
	if c.Path == "" {
		k.faults = append(k.faults, Fault{Path: "cache.path", Message: "cache.path is required: a directory for the journal"})
	}
	if c.Size < MinCacheSize {
		k.fault("cache.size", "%s is too small (at least %s)", c.Size, MinCacheSize)
	}
	if d := c.FlushInterval.Duration(); d < 100*time.Millisecond || d > time.Hour {
		k.fault("cache.flush_interval", "%s is not between 100ms and 1h", c.FlushInterval)
	}
	k.duration("cache.full_timeout", c.FullTimeout)
	if c.PageSize < 64<<10 || c.PageSize > 16<<20 || c.PageSize&(c.PageSize-1) != 0 {
		k.fault("cache.page_size", "%s is not a power of two from 64KiB to 16MiB", c.PageSize)
	}
	if c.ReadAhead < 0 || c.ReadAhead > 1<<30 {
		k.fault("cache.read_ahead", "%s is not between 0 and 1GiB", c.ReadAhead)
	}
}

func (k *checker) compaction(c Compaction) {
	if c.GarbagePercent < 5 || c.GarbagePercent > 100 {
		k.fault("compaction.garbage_percent", "%d is not between 5 and 100 (100 turns compaction off)", c.GarbagePercent)
	}
	if c.Rate < 1<<20 || c.Rate > 64<<30 {
		k.fault("compaction.rate", "%s is not between 1MiB and 64GiB", c.Rate)
	}
}

// directories checks that every store has a place of its own.
func (k *checker) directories(c *Config) {
	type directory struct{ key, path string }
	all := []directory{{"cache.path", c.Cache.Path}, {"metadata.path", c.Metadata.Path}, {"content.path", c.Content.Path}}
	for i, d := range all {
		switch {
		case d.path == "":
			continue
		case !filepath.IsAbs(d.path):
			k.fault(d.key, "%s is not an absolute path (example: /var/lib/dittofs/cache)", quote(d.path))
			continue
		case !isText(d.path) || len(d.path) > maxPath:
			k.fault(d.key, "%s is not a usable path (at most %d bytes of UTF-8 without control characters)",
				quote(d.path), maxPath)
			continue
		}
		for _, other := range all[:i] {
			if within(d.path, other.path) || within(other.path, d.path) {
				k.fault(d.key, "%s and %s (%s) must be separate directories, neither inside the other",
					quote(d.path), other.key, quote(other.path))
			}
		}
	}
}

// maxPath bounds the path of a directory, in bytes (PATH_MAX without the NUL).
const maxPath = 4095

// isText reports whether s can be written in a file of UTF-8 text.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// within reports whether a is b or below it.
func within(a, b string) bool {
	if !filepath.IsAbs(a) || !filepath.IsAbs(b) {
		return false
	}
	rel, err := filepath.Rel(filepath.Clean(b), filepath.Clean(a))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

func (k *checker) nfs(n NFS) {
	k.listen("nfs.listen", n.Listen)
	k.duration("nfs.lease", n.Lease)
	served, sound := false, true
	for i, v := range n.Versions {
		at := fmt.Sprintf("nfs.versions[%d]", i)
		switch {
		case !slices.Contains(knownVersions, v):
			k.fault(at, "%s is not an NFS version (known: %s)", quote(v), quoteAll(knownVersions))
			sound = false
		case slices.Contains(n.Versions[:i], v):
			k.fault(at, "%s is listed twice", quote(v))
			sound = false
		case slices.Contains(ServedVersions, v):
			served = true
		default:
			k.warn(at, "%s is not served by this version; it serves %s", quote(v), quoteAll(ServedVersions))
		}
	}
	if !served && sound {
		k.fault("nfs.versions", "lists no version that is served; add %s", quoteAll(ServedVersions))
	}
}

func (k *checker) listen(key, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		k.fault(key, "%s is not host:port (example: 127.0.0.1:2049)", quote(address))
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		k.fault(key, "port %s is not a number from 0 to 65535", quote(port))
	}
	if host != "" && !isHost(host) {
		k.fault(key, "%s is not an IP address or host name", quote(host))
	}
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return hostName.MatchString(s)
}

func (k *checker) duration(key string, d Duration) {
	if d.Duration() < time.Second || d.Duration() > time.Hour {
		k.fault(key, "%s is not between 1s and 1h", d)
	}
}

func (k *checker) shares(shares []Share) {
	if len(shares) == 0 {
		k.fault("shares", "at least one share is required (example: shares: [{name: export}])")
	}
	if len(shares) > maxItems {
		k.fault("shares", "has %d entries; at most %d are allowed", len(shares), maxItems)
		return
	}
	names, paths := map[string]int{}, map[string]int{}
	for i, s := range shares {
		at := fmt.Sprintf("shares[%d]", i)
		k.share(at, s)
		k.unique(at+".name", s.Name, names, i)
		k.unique(at+".path", s.Path, paths, i)
	}
}

func (k *checker) unique(at, value string, seen map[string]int, i int) {
	if value == "" {
		return
	}
	if first, dup := seen[value]; dup {
		field := at[strings.LastIndexByte(at, '.')+1:]
		k.fault(at, "%s is the %s of shares[%d] already; every share needs its own", quote(value), field, first)
		return
	}
	seen[value] = i
}

var shareName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func (k *checker) share(at string, s Share) {
	switch {
	case s.Name == "":
		k.faults = append(k.faults, Fault{Path: at + ".name", Message: at + ".name is required"})
	case !shareName.MatchString(s.Name):
		k.fault(at+".name", `%s is not a share name (1 to 63 of a-z, 0-9, "-", "." and "_", first a letter or digit)`,
			quote(s.Name))
	}
	if s.Name != "" || s.Path != "" {
		k.sharePath(at+".path", s.Path)
	}
	k.clients(at+".clients", s.Clients)
	oneOf(k, at+".squash", s.Squash, SquashRoot, SquashAll, SquashNone)
	if _, err := s.Root.FileMode(); err != nil {
		k.fault(at+".root.mode", "%v", err)
	}
	for _, id := range []struct {
		key   string
		value uint32
	}{
		{".anonymous.uid", s.Anonymous.UID}, {".anonymous.gid", s.Anonymous.GID}, {".root.uid", s.Root.UID},
		{".root.gid", s.Root.GID},
	} {
		if id.value == noID {
			k.fault(at+id.key, "%d is no user or group (0 to %d; 65534 is nobody)", id.value, noID-1)
		}
	}
	if s.Quota.Inodes > math.MaxInt64 {
		k.fault(at+".quota.inodes", "%d is more than %d", s.Quota.Inodes, int64(math.MaxInt64))
	}
	k.writable(at, s)
	if s.Quota.Bytes < 0 {
		k.fault(at+".quota.bytes", "%s is negative", s.Quota.Bytes)
	}
}

// noID is (uid_t)-1, which names nobody.
const noID = 1<<32 - 1

// MaxSharePath bounds a share's path, in bytes (RFC 1813, MNTPATHLEN).
const MaxSharePath = 1024

func (k *checker) sharePath(at, p string) {
	switch {
	case !path.IsAbs(p):
		k.fault(at, "%s is not an absolute path (example: /export)", quote(p))
	case path.Clean(p) != p:
		k.fault(at, "%s is not a clean path; write %s", quote(p), quote(path.Clean(p)))
	case len(p) > MaxSharePath:
		k.fault(at, "is longer than %d bytes", MaxSharePath)
	case !isText(p):
		k.fault(at, "%s is not UTF-8 without control characters", quote(p))
	}
}

func (k *checker) clients(at string, clients []Client) {
	switch {
	case len(clients) == 0:
		k.fault(at, "is empty, so nobody could use the share; list a CIDR, or remove the key to allow everyone")
	case len(clients) > maxItems:
		k.fault(at, "has %d entries; at most %d are allowed", len(clients), maxItems)
		return
	}
	var before []netip.Prefix
	for i, c := range clients {
		entry := fmt.Sprintf("%s[%d]", at, i)
		oneOf(k, entry+".access", c.Access, AccessReadWrite, AccessReadOnly)
		prefix, err := c.Prefix()
		switch {
		case c.CIDR == "":
			k.faults = append(k.faults, Fault{Path: entry + ".cidr", Message: entry + ".cidr is required (example: 10.0.0.0/8)"})
			continue
		case err != nil:
			k.fault(entry+".cidr", "%v", err)
			continue
		}
		for _, b := range before {
			if b.Bits() <= prefix.Bits() && b.Contains(prefix.Addr()) {
				k.warn(entry+".cidr", "%s is never reached, because %s comes before it", prefix, b)
				break
			}
		}
		before = append(before, prefix)
	}
}

// oneOf checks that value is one of the allowed.
func oneOf[T ~string](k *checker, key string, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	k.fault(key, "%s is not one of %s", quote(string(value)), strings.Join(words, ", "))
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, ", ")
}
