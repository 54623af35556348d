package server

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
)

// controlShares is the operation "shares": a report.Share for each share, in the
// order of the configuration.
func (s *server) controlShares(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
	if err := decodeArgs(args, &struct{}{}); err != nil {
		return err
	}
	for _, share := range s.shareReports(ctx) {
		if err := emit(share); err != nil {
			return err
		}
	}
	return nil
}

// controlClients is the operation "clients": a report.Client for each address
// that is connected or has mounted something.
func (s *server) controlClients(_ context.Context, args json.RawMessage, emit func(v any) error) error {
	if err := decodeArgs(args, &struct{}{}); err != nil {
		return err
	}
	for _, client := range s.clientReports(time.Now()) {
		if err := emit(client); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) shareReports(ctx context.Context) []report.Share {
	mounted := map[string]int{}
	for _, m := range s.mounts.List() {
		mounted[m.Path]++
	}
	list := []report.Share{}
	for _, share := range s.exports.List() {
		r := report.Share{
			Name: share.Name, Path: printable.Text(share.Path), ReadOnly: share.ReadOnly, Squash: string(share.Squash()),
			Clients: []report.ShareClient{}, Mounted: mounted[share.Path],
		}
		for _, c := range share.Rules() {
			r.Clients = append(r.Clients, report.ShareClient{CIDR: c.CIDR, Access: string(c.Access), Secure: c.Secure})
		}
		if root, err := s.rootOf(ctx, share.ID); err == nil {
			r.Root = root
		}
		u := s.stores.fs.Usage(share.ID)
		r.Bytes, r.Inodes = report.Usage{Used: u.Bytes, Quota: u.QuotaBytes},
			report.Usage{Used: u.Inodes, Quota: u.QuotaInodes}
		list = append(list, r)
	}
	return list
}

// clientReports lists the clients in the order of their addresses, and the
// connections of each in the order of their age.
func (s *server) clientReports(now time.Time) []report.Client {
	clients := map[netip.Addr]*report.Client{}
	client := func(at netip.Addr) *report.Client {
		if clients[at] == nil {
			clients[at] = &report.Client{Address: at.String(), Mounts: []string{}, Connections: []report.Connection{}}
		}
		return clients[at]
	}
	for _, c := range s.rpc.Connections() {
		at := client(c.Remote.Addr())
		at.Connections = append(at.Connections, report.Connection{
			Port: c.Remote.Port(), Since: c.Since.UTC(), Idle: report.Of(max(now.Sub(c.Last), 0)),
			Calls: c.Calls, InBytes: c.InBytes, OutBytes: c.OutBytes,
		})
	}
	for _, m := range s.mounts.List() {
		if addr, err := netip.ParseAddr(m.Client); err == nil {
			at := client(addr)
			at.Mounts = append(at.Mounts, printable.Text(m.Path))
		}
	}
	list := []report.Client{}
	for _, at := range slices.SortedFunc(maps.Keys(clients), netip.Addr.Compare) {
		c := clients[at]
		slices.SortFunc(c.Connections, func(a, b report.Connection) int {
			return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Port, b.Port))
		})
		slices.Sort(c.Mounts)
		list = append(list, *c)
	}
	return list
}
