// Package export decides who may use a share and as whom: it is asked on
// every call, with the share, the client's address and its credential. MOUNT
// is not a gate. The table is replaced as a whole when the configuration
// changes, so that a lookup is one atomic load.
package export

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

// Anonymous is the credential of a caller that brings none. A share makes its
// anonymous identity of it.
var Anonymous = vfs.Cred{UID: vfs.NoID, GID: vfs.NoID}

// Share is one exported tree, resolved from the configuration.
type Share struct {
	ID       uint32 // permanent, from the metadata store
	Name     string
	Path     string // what clients mount
	ReadOnly bool
	clients  []client
	squash   config.Squash
	anon     vfs.Cred
}

type client struct {
	prefix   netip.Prefix
	readOnly bool
	secure   bool // calls come from privileged ports
}

// unprivileged is the first port that every user of a client can use
// (IPPORT_RESERVED).
const unprivileged = 1024

// Clients lists the allowed prefixes, in order, as MOUNT's EXPORT shows them.
func (s *Share) Clients() []string {
	out := make([]string, 0, len(s.clients))
	for _, c := range s.clients {
		out = append(out, c.prefix.String())
	}
	return out
}

// Rules lists the allowed prefixes with their access, in order.
func (s *Share) Rules() []config.Client {
	out := make([]config.Client, 0, len(s.clients))
	for _, c := range s.clients {
		access := config.AccessReadWrite
		if c.readOnly {
			access = config.AccessReadOnly
		}
		out = append(out, config.Client{CIDR: c.prefix.String(), Access: access, Secure: c.secure})
	}
	return out
}

// Squash says whose identity is mapped to the anonymous user.
func (s *Share) Squash() config.Squash { return s.squash }

// Table holds the shares. Safe for concurrent use.
type Table struct{ current atomic.Pointer[shares] }

type shares struct {
	list   []*Share
	byPath map[string]*Share
	byID   map[uint32]*Share
}

// NewTable returns a table with the configured shares; ids gives each share
// name its permanent number.
func NewTable(cfg []config.Share, ids map[string]uint32) (*Table, error) {
	t := &Table{}
	return t, t.Replace(cfg, ids)
}

// Replace makes the configuration current for all calls from now on.
func (t *Table) Replace(cfg []config.Share, ids map[string]uint32) error {
	next := &shares{byPath: map[string]*Share{}, byID: map[uint32]*Share{}}
	for i := range cfg {
		s, err := resolve(&cfg[i], ids)
		if err != nil {
			return fmt.Errorf("shares[%d]: %w", i, err)
		}
		next.list = append(next.list, s)
		next.byPath[s.Path] = s
		next.byID[s.ID] = s
	}
	t.current.Store(next)
	return nil
}

func resolve(c *config.Share, ids map[string]uint32) (*Share, error) {
	id, ok := ids[c.Name]
	if !ok {
		return nil, fmt.Errorf("share %q has no id", c.Name)
	}
	s := &Share{ID: id, Name: c.Name, Path: c.Path, ReadOnly: c.ReadOnly, squash: c.Squash,
		anon: vfs.Cred{UID: c.Anonymous.UID, GID: c.Anonymous.GID}}
	clients := c.Clients
	if len(clients) == 0 {
		clients = []config.Client{{CIDR: "0.0.0.0/0"}, {CIDR: "::/0"}}
	}
	for _, cl := range clients {
		p, err := netip.ParsePrefix(cl.CIDR)
		if err != nil {
			return nil, err
		}
		s.clients = append(s.clients, client{
			prefix: p.Masked(), readOnly: cl.Access == config.AccessReadOnly, secure: cl.Secure,
		})
	}
	return s, nil
}

// List returns the shares in the order of the configuration.
func (t *Table) List() []*Share { return t.current.Load().list }

// ByPath finds the share that clients mount as path.
func (t *Table) ByPath(path string) (*Share, bool) {
	s, ok := t.current.Load().byPath[path]
	return s, ok
}

// Authorize checks that the client may use the share from where it calls, and
// returns the operation's environment with the squashed credential. An unknown
// share is ESTALE (it was removed from the configuration), a refused address
// EACCES, and a port that is not privileged, where it must be, EPERM: what Linux
// answers.
func (t *Table) Authorize(ctx context.Context, share uint32, from netip.AddrPort, cred vfs.Cred) (vfs.Request, error) {
	s, ok := t.current.Load().byID[share]
	if !ok {
		return vfs.Request{}, vfs.ESTALE
	}
	return s.Authorize(ctx, from, cred)
}

// Authorize is Table.Authorize for a share at hand.
func (s *Share) Authorize(ctx context.Context, from netip.AddrPort, cred vfs.Cred) (vfs.Request, error) {
	c := s.client(from.Addr())
	switch {
	case c == nil:
		return vfs.Request{}, vfs.EACCES
	case c.secure && from.Port() >= unprivileged:
		return vfs.Request{}, vfs.EPERM
	}
	return vfs.Request{Context: ctx, Cred: s.squashed(cred), ReadOnly: s.ReadOnly || c.readOnly}, nil
}

// Allows tells whether a client at addr may use the share at all.
func (s *Share) Allows(addr netip.Addr) bool { return s.client(addr) != nil }

// client is the first entry that contains addr, nil if there is none.
func (s *Share) client(addr netip.Addr) *client {
	addr = addr.Unmap()
	for i := range s.clients {
		if s.clients[i].prefix.Contains(addr) {
			return &s.clients[i]
		}
	}
	return nil
}

// squashed is who the caller is on this share. Ids that name nobody become
// anonymous whatever is squashed; group 0 of an ordinary user is squashed as
// user 0 is: else anyone could claim the root group's rights.
func (s *Share) squashed(c vfs.Cred) vfs.Cred {
	if c.UID == vfs.NoID {
		c.UID = s.anon.UID
	}
	switch {
	case s.squash == config.SquashAll:
		return s.anon
	case s.squash != config.SquashNone && c.UID == 0:
		return s.anon
	}
	c.GID = s.group(c.GID)
	for i, g := range c.Groups {
		if s.group(g) != g {
			c.Groups = s.groups(c.Groups, i)
			break
		}
	}
	return c
}

// group is the group that a caller's group is on this share.
func (s *Share) group(g uint32) uint32 {
	if g == vfs.NoID || g == 0 && s.squash != config.SquashNone {
		return s.anon.GID
	}
	return g
}

// groups is a copy of gs with group applied from an index on: the caller's own
// are not changed.
func (s *Share) groups(gs []uint32, from int) []uint32 {
	out := slices.Clone(gs)
	for i := from; i < len(out); i++ {
		out[i] = s.group(out[i])
	}
	return out
}
