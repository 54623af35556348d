package server

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/fsck/tree"
)

// CheckArguments are those of the operations "fsck" and "scrub".
type CheckArguments struct {
	Limit int   `json:"limit"` // findings of each kind that are shown; 0 for all
	Rate  int64 `json:"rate"`  // bytes each second that a scrub reads; 0 for no bound
}

// registerFsck lets commands check a server that runs, over a snapshot of its
// metadata. What is in flight is in no snapshot: one holds whole batches, in
// which counts, sizes and extents agree.
func (s *server) registerFsck() {
	s.control.Handle("fsck", s.checking(fsck.Check))
	s.control.Handle("scrub", s.checking(fsck.Scrub))
}

type check func(ctx context.Context, o fsck.Options, emit func(fsck.Line) error) (fsck.Summary, error)

func (s *server) checking(run check) func(context.Context, json.RawMessage, func(any) error) error {
	return func(ctx context.Context, args json.RawMessage, emit func(any) error) error {
		var a CheckArguments
		if err := decodeArgs(args, &a); err != nil {
			return err
		}
		if a.Limit < 0 || a.Rate < 0 {
			return errors.New("arguments: limit and rate are not negative")
		}
		snap, err := s.stores.log.Snapshot(ctx)
		if err != nil {
			return err
		}
		_, err = run(ctx, fsck.Options{
			Meta: snap, Current: s.stores.log, Source: sourceOf(s.cfg, s.stores.content, s.stores.instance),
			Quotas: s.quotas(), Limit: a.Limit, Rate: a.Rate,
		}, func(l fsck.Line) error { return emit(l) })
		return errors.Join(err, snap.Close())
	}
}

func (s *server) quotas() map[string]tree.ShareUsage {
	quotas := map[string]tree.ShareUsage{}
	for _, share := range s.exports.List() {
		u := s.stores.fs.Usage(share.ID)
		quotas[share.Name] = tree.ShareUsage{Bytes: u.QuotaBytes, Inodes: u.QuotaInodes}
	}
	return quotas
}
