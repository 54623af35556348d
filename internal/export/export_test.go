package export

import (
	"context"
	"math"
	"net/netip"
	"reflect"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

func table(t *testing.T, shares ...config.Share) *Table {
	t.Helper()
	ids := map[string]uint32{}
	for i := range shares {
		ids[shares[i].Name] = uint32(i + 1)
	}
	table, err := NewTable(shares, ids)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// at is an unprivileged port of an address.
func at(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), 40000) }

func TestSquashDecidesWhoACallerIs(t *testing.T) {
	anonymous := config.Identity{UID: 1234, GID: 5678}
	root := vfs.Cred{UID: 0, GID: 0, Groups: []uint32{0, 4}}
	user := vfs.Cred{UID: 1000, GID: 100, Groups: []uint32{101}}
	pretender := vfs.Cred{UID: 1000, GID: 0, Groups: []uint32{101, 0}}
	nobody := vfs.Cred{UID: 1234, GID: 5678}
	const none = math.MaxUint32
	for _, c := range []struct {
		squash   config.Squash
		who      string
		in, want vfs.Cred
	}{
		{config.SquashRoot, "root", root, nobody},
		{config.SquashRoot, "a user", user, user},
		{config.SquashRoot, "a user that claims group 0", pretender, vfs.Cred{UID: 1000, GID: 5678, Groups: []uint32{101, 5678}}},
		{config.SquashAll, "root", root, nobody},
		{config.SquashAll, "a user", user, nobody},
		{config.SquashNone, "root", root, root},
		{config.SquashNone, "a user that claims group 0", pretender, pretender},
		{config.SquashRoot, "a user with id -1", vfs.Cred{UID: none, GID: none, Groups: []uint32{7, none}}, vfs.Cred{UID: 1234, GID: 5678, Groups: []uint32{7, 5678}}},
		{config.SquashNone, "a user with id -1", vfs.Cred{UID: none, GID: 100}, vfs.Cred{UID: 1234, GID: 100}},
		{config.SquashNone, "root with group -1", vfs.Cred{GID: none, Groups: []uint32{0, none}}, vfs.Cred{GID: 5678, Groups: []uint32{0, 5678}}},
		{config.SquashRoot, "root with group -1", vfs.Cred{GID: none}, nobody},
		{config.SquashAll, "a user with id -1", vfs.Cred{UID: none, GID: none}, nobody},
		{config.SquashNone, "a caller without a credential", Anonymous, nobody},
	} {
		given := append([]uint32(nil), c.in.Groups...)
		share := table(t, config.Share{Name: "a", Path: "/a", Squash: c.squash, Anonymous: anonymous})
		req, err := share.Authorize(context.Background(), 1, at("192.0.2.1"), c.in)
		if err != nil || !reflect.DeepEqual(req.Cred, c.want) {
			t.Errorf("squash %s makes %s %+v (%v), want %+v", c.squash, c.who, req.Cred, err, c.want)
		}
		if !reflect.DeepEqual(given, c.in.Groups) {
			t.Errorf("squash %s changed the groups of %s in place", c.squash, c.who)
		}
	}
}

func TestTheFirstMatchingClientEntryDecides(t *testing.T) {
	share := table(t, config.Share{Name: "a", Path: "/a", Clients: []config.Client{
		{CIDR: "10.1.0.0/16", Access: config.AccessReadOnly},
		{CIDR: "10.0.0.0/8", Access: config.AccessReadWrite},
		{CIDR: "2001:db8::/32", Access: config.AccessReadWrite},
	}})
	for addr, want := range map[string]struct {
		err      error
		readOnly bool
	}{
		"10.1.2.3":        {readOnly: true},
		"10.2.0.1":        {},
		"::ffff:10.1.2.3": {readOnly: true}, // IPv4 on a dual-stack socket
		"2001:db8::1":     {},
		"192.0.2.1":       {err: vfs.EACCES},
		"2001:db9::1":     {err: vfs.EACCES},
	} {
		req, err := share.Authorize(context.Background(), 1, at(addr), vfs.Cred{UID: 1})
		if err != want.err || req.ReadOnly != want.readOnly {
			t.Errorf("%s: read-only %v, %v; want %v, %v", addr, req.ReadOnly, err, want.readOnly, want.err)
		}
	}
}

func TestASecureClientCallsFromAPrivilegedPort(t *testing.T) {
	shares := table(t, config.Share{Name: "a", Path: "/a", Clients: []config.Client{
		{CIDR: "10.1.0.0/16", Secure: true},
		{CIDR: "10.0.0.0/8"},
		{CIDR: "10.0.0.0/8", Secure: true}, // never reached
	}})
	for from, want := range map[string]error{
		"10.1.2.3:1023": nil, "10.1.2.3:1": nil, "[::ffff:10.1.2.3]:1023": nil,
		"10.1.2.3:1024": vfs.EPERM, "10.1.2.3:65535": vfs.EPERM, "[::ffff:10.1.2.3]:1024": vfs.EPERM,
		"10.2.0.1:40000": nil,
		"192.0.2.1:1023": vfs.EACCES,
	} {
		if _, err := shares.Authorize(context.Background(), 1, netip.MustParseAddrPort(from), vfs.Cred{UID: 1}); err != want {
			t.Errorf("%s: %v, want %v", from, err, want)
		}
	}
	share, _ := shares.ByPath("/a")
	if rules := share.Rules(); !rules[0].Secure || rules[1].Secure {
		t.Errorf("rules %+v", rules)
	}
}

func TestAShareIsOpenToAllWithoutClients(t *testing.T) {
	shares := table(t, config.Share{Name: "a", Path: "/a"})
	for _, addr := range []string{"192.0.2.1", "2001:db8::1"} {
		if _, err := shares.Authorize(context.Background(), 1, at(addr), vfs.Cred{UID: 1}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestReplaceTakesEffectOnTheNextCall(t *testing.T) {
	a := config.Share{Name: "a", Path: "/a"}
	shares := table(t, a)
	a.ReadOnly = true
	if err := shares.Replace([]config.Share{a}, map[string]uint32{"a": 1}); err != nil {
		t.Fatal(err)
	}
	req, err := shares.Authorize(context.Background(), 1, at("192.0.2.1"), vfs.Cred{UID: 1})
	if err != nil || !req.ReadOnly {
		t.Errorf("read-only %v, %v after the share became read-only", req.ReadOnly, err)
	}
	if err := shares.Replace(nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := shares.Authorize(context.Background(), 1, at("192.0.2.1"), vfs.Cred{UID: 1}); err != vfs.ESTALE {
		t.Errorf("a share that was removed gives %v, want ESTALE", err)
	}
	if _, ok := shares.ByPath("/a"); ok {
		t.Error("a share that was removed can still be found by its path")
	}
}
