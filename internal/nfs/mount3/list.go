package mount3

import (
	"path"
	"slices"
	"sync"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/xdr"
)

// maxMounts bounds the list that DUMP shows. The list is only for people to
// look at: clients come and go without telling.
const maxMounts = 1024

// Mount is a path that a client has mounted.
type Mount struct{ Client, Path string }

// Mounts is who mounted what, the oldest first. The zero value is empty. Safe
// for concurrent use.
type Mounts struct {
	mu     sync.Mutex
	mounts []Mount
}

// List returns the mounts, the oldest first, at most 1024.
func (l *Mounts) List() []Mount {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.mounts)
}

func (l *Mounts) add(client, dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.mounts {
		if m == (Mount{client, dir}) {
			return
		}
	}
	if len(l.mounts) == maxMounts {
		l.mounts = append(l.mounts[:0], l.mounts[1:]...)
	}
	l.mounts = append(l.mounts, Mount{client, dir})
}

// remove forgets a client's mount of dir, or all of its mounts if dir is empty.
func (l *Mounts) remove(client, dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.mounts[:0]
	for _, m := range l.mounts {
		if m.Client != client || dir != "" && m.Path != dir {
			kept = append(kept, m)
		}
	}
	clear(l.mounts[len(kept):])
	l.mounts = kept
}

// dump is DUMP (RFC 1813 appendix I, section 5.2.2). It tells of the shares that
// the client may use itself.
func (s *service) dump(c *sunrpc.Call) sunrpc.AcceptStat {
	for _, m := range s.Mounts.List() {
		if share, _ := s.split(path.Clean(m.Path)); share == nil || !share.Allows(c.Remote.Addr()) {
			continue
		}
		c.Reply.Bool(true)
		c.Reply.String(m.Client)
		c.Reply.String(m.Path)
	}
	c.Reply.Bool(false)
	return sunrpc.Success
}

// dumpWeight is the most that DUMP's reply takes.
func (s *service) dumpWeight([]byte) int {
	n := 0
	for _, m := range s.Mounts.List() {
		n += 4 + xdr.OpaqueSize(len(m.Client)) + xdr.OpaqueSize(len(m.Path))
	}
	return n
}

// umnt is UMNT (RFC 1813 appendix I, section 5.2.3).
func (s *service) umnt(c *sunrpc.Call) sunrpc.AcceptStat {
	dir := c.Args.String(maxPath)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	if dir != "" {
		s.Mounts.remove(c.Remote.Addr().String(), dir)
	}
	return sunrpc.Success
}

// umntall is UMNTALL (RFC 1813 appendix I, section 5.2.4).
func (s *service) umntall(c *sunrpc.Call) sunrpc.AcceptStat {
	s.Mounts.remove(c.Remote.Addr().String(), "")
	return sunrpc.Success
}

// exportWeight is the most that EXPORT's reply takes.
func (s *service) exportWeight([]byte) int {
	n := 0
	for _, share := range s.Exports.List() {
		n += 8 + xdr.OpaqueSize(len(share.Path))
		for _, client := range share.Clients() {
			n += 4 + xdr.OpaqueSize(len(client))
		}
	}
	return n
}

// export is EXPORT (RFC 1813 appendix I, section 5.2.5). It tells of the shares
// that the client may use.
func (s *service) export(c *sunrpc.Call) sunrpc.AcceptStat {
	for _, share := range s.Exports.List() {
		if !share.Allows(c.Remote.Addr()) {
			continue
		}
		c.Reply.Bool(true)
		c.Reply.String(share.Path)
		for _, client := range share.Clients() {
			c.Reply.Bool(true)
			c.Reply.String(client)
		}
		c.Reply.Bool(false)
	}
	c.Reply.Bool(false)
	return sunrpc.Success
}
