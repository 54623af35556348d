package config

import (
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ExpectedInstanceKey is the key of Metadata.ExpectedInstance. Every refusal of a
// server for its sake names it.
const ExpectedInstanceKey = "metadata.expected_instance"

var instanceName = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (k *checker) metadata(m Metadata) {
	oneOf(k, "metadata.type", m.Type, MetadataTypes()...)
	for _, key := range metadataKeys {
		if key.check != nil && m.Type.uses(key.name) {
			key.check(k, m)
		}
	}
	if m.ExpectedInstance != "" && !instanceName.MatchString(m.ExpectedInstance) {
		k.fault(ExpectedInstanceKey, "%s is not an instance: 32 digits from 0 to 9 and a to f", quote(m.ExpectedInstance))
	}
}

// bucketName is what every S3 service takes; some take more.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)

// objectPrefix holds the characters that need no escape in a URL.
var objectPrefix = regexp.MustCompile(`^[A-Za-z0-9!_.*'()/-]{1,512}$`)

var regionName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func (k *checker) content(c Content) {
	oneOf(k, "content.type", c.Type, ContentMemory, ContentFilesystem, ContentS3)
	if c.Type != ContentS3 {
		return
	}
	switch {
	case c.Bucket == "":
		k.faults = append(k.faults, Fault{Path: "content.bucket", Message: "content.bucket is required by content.type s3"})
	case !bucketName.MatchString(c.Bucket):
		k.fault("content.bucket",
			`%s is not a bucket name (3 to 255 letters, digits, "-", "." and "_", first and last a letter or digit)`,
			quote(c.Bucket))
	}
	k.endpoint("content.endpoint", c.Endpoint)
	if !regionName.MatchString(c.Region) {
		k.fault("content.region", "%s is not a region name (example: eu-central-1)", quote(c.Region))
	}
	if c.Prefix != "" && (!objectPrefix.MatchString(c.Prefix) || strings.HasPrefix(c.Prefix, "/") ||
		strings.Contains("/"+c.Prefix+"/", "/../") ||
		strings.Contains("/"+c.Prefix+"/", "/./") || strings.Contains(c.Prefix, "//")) {
		k.fault("content.prefix", `%s is not a prefix (at most 512 letters, digits, "-", "_", "." and "/"; example: nas/)`,
			quote(c.Prefix))
	}
	k.file("content.credentials_file", c.CredentialsFile)
	k.file("content.ca_file", c.CAFile)
	oneOf(k, "content.addressing", c.Addressing, AddressingAuto, AddressingPath, AddressingVirtual)
	k.addressing(c)
	if c.PartSize < 5<<20 || c.PartSize > 1<<30 {
		k.fault("content.part_size", "%s is not between 5MiB and 1GiB", c.PartSize)
	}
	if c.ParallelTransfers < 1 || c.ParallelTransfers > 64 {
		k.fault("content.parallel_transfers", "%d is not between 1 and 64", c.ParallelTransfers)
	}
}

// addressing refuses the name of a bucket before an IP address.
func (k *checker) addressing(c Content) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || c.Addressing != AddressingVirtual {
		return
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		k.fault("content.addressing", "virtual needs an endpoint with a host name, %s is an address; use path",
			quote(u.Hostname()))
	}
}

func (k *checker) endpoint(key, endpoint string) {
	if endpoint == "" {
		return
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !isHost(u.Hostname()):
		k.fault(key, "%s is not a URL (example: https://s3.example.org or http://10.0.0.7:9000)", quote(endpoint))
	case u.User != nil:
		k.fault(key, "must not hold credentials; put them into content.credentials_file")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		k.fault(key, "%s has more than a host; the bucket goes into content.bucket, a path into content.prefix",
			quote(endpoint))
	}
}

// file checks the path of a file that is read, if there is one.
func (k *checker) file(key, path string) {
	switch {
	case path == "":
	case !filepath.IsAbs(path):
		k.fault(key, "%s is not an absolute path (example: /etc/dittofs/secret)", quote(path))
	case !isText(path) || len(path) > maxPath:
		k.fault(key, "%s is not a usable path (at most %d bytes of UTF-8 without control characters)", quote(path), maxPath)
	}
}

func (k *checker) backup(c *Config) {
	b := c.Backup
	switch every := b.Every.Duration(); {
	case every == 0:
	case every < time.Minute || every > 720*time.Hour:
		k.fault("backup.every", "%s is not between 1m and 720h (0s: none by schedule)", b.Every)
	case c.Content.Type == ContentMemory || c.Metadata.Type == MetadataMemory:
		k.fault("backup.every", "%s is of no use with a store that is memory, which ends with the server; remove the key",
			b.Every)
	}
	if b.Keep < 1 || b.Keep > 1000 {
		k.fault("backup.keep", "%d is not between 1 and 1000", b.Keep)
	}
}

// unused warns of keys that were given and belong to another type of store.
func unused(c *Config) []Fault {
	k := &checker{}
	given := func(kind, section string, keys map[string]bool) {
		for _, key := range sortedTrue(keys) {
			k.warn(section+"."+key, "is not used, because %s.type is %s", section, kind)
		}
	}
	m := &c.Metadata
	for _, key := range metadataKeys {
		if !m.Type.uses(key.name) {
			given(string(m.Type), "metadata", map[string]bool{key.name: key.given(m)})
		}
	}
	s := c.Content
	filesystem := map[string]bool{"path": s.Path != ""}
	s3 := map[string]bool{
		"bucket": s.Bucket != "", "endpoint": s.Endpoint != "", "region": s.Region != "", "prefix": s.Prefix != "",
		"credentials_file": s.CredentialsFile != "", "ca_file": s.CAFile != "", "addressing": s.Addressing != "",
		"part_size": s.PartSize != 0, "parallel_transfers": s.ParallelTransfers != 0,
	}
	if s.Type != ContentFilesystem {
		given(string(s.Type), "content", filesystem)
	}
	if s.Type != ContentS3 {
		given(string(s.Type), "content", s3)
	}
	return k.warnings
}

func sortedTrue(set map[string]bool) (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if set[key] {
			keys = append(keys, key)
		}
	}
	return keys
}
