package mount3

import (
	"sync"

	"github.com/dittofs/dittofs/internal/sunrpc"
)

// maxMounts bounds the list that DUMP shows. The list is only for people to
// look at: clients come and go without telling.
const maxMounts = 1024

type mount struct{ client, dir string }

// mountList is who mounted what, the oldest first. Safe for concurrent use.
type mountList struct {
	mu     sync.Mutex
	mounts []mount
}

func (l *mountList) add(client, dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.mounts {
		if m == (mount{client, dir}) {
			return
		}
	}
	if len(l.mounts) == maxMounts {
		l.mounts = append(l.mounts[:0], l.mounts[1:]...)
	}
	l.mounts = append(l.mounts, mount{client, dir})
}

// remove forgets a client's mount of dir, or all of its mounts if dir is empty.
func (l *mountList) remove(client, dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.mounts[:0]
	for _, m := range l.mounts {
		if m.client != client || dir != "" && m.dir != dir {
			kept = append(kept, m)
		}
	}
	clear(l.mounts[len(kept):])
	l.mounts = kept
}

// dump is DUMP (RFC 1813 appendix I, section 5.2.2).
func (s *service) dump(c *sunrpc.Call) sunrpc.AcceptStat {
	s.mounts.mu.Lock()
	defer s.mounts.mu.Unlock()
	for _, m := range s.mounts.mounts {
		c.Reply.Bool(true)
		c.Reply.String(m.client)
		c.Reply.String(m.dir)
	}
	c.Reply.Bool(false)
	return sunrpc.Success
}

// umnt is UMNT (RFC 1813 appendix I, section 5.2.3).
func (s *service) umnt(c *sunrpc.Call) sunrpc.AcceptStat {
	dir := c.Args.String(maxPath)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	if dir != "" {
		s.mounts.remove(c.Remote.Addr().String(), dir)
	}
	return sunrpc.Success
}

// umntall is UMNTALL (RFC 1813 appendix I, section 5.2.4).
func (s *service) umntall(c *sunrpc.Call) sunrpc.AcceptStat {
	s.mounts.remove(c.Remote.Addr().String(), "")
	return sunrpc.Success
}

// export is EXPORT (RFC 1813 appendix I, section 5.2.5).
func (s *service) export(c *sunrpc.Call) sunrpc.AcceptStat {
	for _, share := range s.Exports.List() {
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
