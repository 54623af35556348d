package config

import (
	"net"
	"net/netip"
	"path/filepath"
)

// MaxSocketPath is the longest path of a unix socket, in bytes (unix(7), without
// the NUL).
const MaxSocketPath = 107

// ControlSocket is the unix socket of a complete configuration: admin.socket, or
// control.sock in cache.path. One that is too long (see MaxSocketPath) cannot be
// used.
func (c *Config) ControlSocket() string {
	if c.Admin.Socket != "" {
		return c.Admin.Socket
	}
	return filepath.Join(c.Cache.Path, "control.sock")
}

func (k *checker) admin(c *Config) {
	k.socket(c)
	k.file("admin.token_file", c.Admin.TokenFile)
	if c.Admin.Listen == "" {
		if c.Admin.TokenFile != "" {
			k.warn("admin.token_file", "is not used, because admin.listen is empty")
		}
		return
	}
	k.listen("admin.listen", c.Admin.Listen)
	host, port, err := net.SplitHostPort(c.Admin.Listen)
	if err == nil && c.Admin.Listen == c.NFS.Listen && port != "0" {
		k.fault("admin.listen", "%s is the address of nfs.listen; take another port", quote(c.Admin.Listen))
	}
	if err == nil && c.Admin.TokenFile != "" && !isLoopback(host) {
		k.warn("admin.token_file", "the token and the answers cross the network in clear text; "+
			"let admin.listen be 127.0.0.1, or put TLS before it")
	}
}

// socket checks admin.socket. Its default is no reason to refuse to serve.
func (k *checker) socket(c *Config) {
	path := c.ControlSocket()
	if c.Admin.Socket == "" {
		if c.Cache.Path != "" && len(path) > MaxSocketPath {
			k.warn("admin.socket", "%s would be longer than %d bytes, so commands cannot reach the server; name a shorter path",
				quote(path), MaxSocketPath)
		}
		return
	}
	k.file("admin.socket", path)
	if len(path) > MaxSocketPath {
		k.fault("admin.socket", "%s is longer than %d bytes, which the path of a unix socket may have",
			quote(path), MaxSocketPath)
	}
	for _, store := range []struct{ key, path string }{
		{"metadata.path", c.Metadata.Path}, {"content.path", c.Content.Path},
	} {
		if within(path, store.path) {
			k.fault("admin.socket", "%s is inside %s, which belongs to a store; take another directory", quote(path), store.key)
		}
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
