package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/dittofs/dittofs/internal/export"
	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

// controlSetRoot is the operation "set-root": it changes the top directory of a
// share as root would, and emits a report.RootChange.
func (s *server) controlSetRoot(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
	var want report.RootRequest
	if err := decodeArgs(args, &want); err != nil {
		return err
	}
	set, err := rootChange(want)
	if err != nil {
		return err
	}
	share, err := s.shareNamed(want.Share)
	if err != nil {
		return err
	}
	req := vfs.Request{Context: ctx} // its credential is root's
	id, err := s.stores.fs.Root(share.ID)
	if err != nil {
		return err
	}
	wcc, err := s.stores.fs.SetAttr(&req, id, set, nil)
	if err != nil {
		return fmt.Errorf("the top directory of %s: %w", share.Name, err)
	}
	change := report.RootChange{Share: share.Name, Before: rootReport(wcc.Before), After: rootReport(wcc.After)}
	s.log.Info("the top directory of a share was changed",
		"share", share.Name, "before", rootText(change.Before), "after", rootText(change.After))
	return emit(change)
}

// rootChange checks the arguments.
func rootChange(want report.RootRequest) (vfs.SetAttr, error) {
	set := vfs.SetAttr{UID: want.UID, GID: want.GID}
	for name, id := range map[string]*uint32{"uid": want.UID, "gid": want.GID} {
		if id != nil && *id == math.MaxUint32 {
			return set, fmt.Errorf("%s: %d stands for no user or group", name, *id)
		}
	}
	if want.Mode != nil {
		mode, err := config.Root{Mode: *want.Mode}.FileMode()
		if err != nil {
			return set, fmt.Errorf("mode: %w", err)
		}
		set.Mode = &mode
	}
	if set == (vfs.SetAttr{}) {
		return set, errors.New("nothing is to be changed: give uid, gid or mode")
	}
	return set, nil
}

// shareNamed is a share that is served.
func (s *server) shareNamed(name string) (*export.Share, error) {
	for _, share := range s.exports.List() {
		if share.Name == name {
			return share, nil
		}
	}
	return nil, fmt.Errorf("the server has no share %q", name)
}

func rootReport(a vfs.Attr) report.Root {
	return report.Root{UID: a.UID, GID: a.GID, Mode: fmt.Sprintf("%04o", a.Mode)}
}

// rootOf is the top directory of a share as it is.
func (s *server) rootOf(ctx context.Context, share uint32) (report.Root, error) {
	id, err := s.stores.fs.Root(share)
	if err != nil {
		return report.Root{}, err
	}
	a, err := s.stores.fs.GetAttr(&vfs.Request{Context: ctx}, id)
	return rootReport(a), err
}

// warnOfRoots says which top directories are not as the configuration has them,
// because it is for new shares only, and what would make them so. Those of its
// default are left out at a start: clients may have changed them, as they should.
func (s *server) warnOfRoots(ctx context.Context, before, now []config.Share, ids map[string]uint32) {
	was := map[string]config.Root{}
	for _, share := range before {
		was[share.Name] = share.Root
	}
	for _, share := range now {
		old, known := was[share.Name]
		if !known {
			old = config.DefaultShare(share.Name).Root
		}
		if old == share.Root {
			continue
		}
		mode, err := share.Root.FileMode()
		if err != nil {
			continue // it was validated
		}
		want := report.Root{UID: share.Root.UID, GID: share.Root.GID, Mode: fmt.Sprintf("%04o", mode)}
		has, err := s.rootOf(ctx, ids[share.Name])
		if err != nil || has == want {
			continue
		}
		s.log.Warn("the top directory of a share is not as shares[].root says, which is for new shares only",
			"share", share.Name,
			"has", rootText(has), "configured", rootText(want),
			"to_change", fmt.Sprintf("dittofs shares set-root %s --uid %d --gid %d --mode %s",
				share.Name, want.UID, want.GID, want.Mode))
	}
}

// rootText is owner and mode for people: 0:0 0755.
func rootText(r report.Root) string { return fmt.Sprintf("%d:%d %s", r.UID, r.GID, r.Mode) }
