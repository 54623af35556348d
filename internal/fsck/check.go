package fsck

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
)

// Options say what is checked.
type Options struct {
	// Meta stands still: of a stopped server, or a snapshot.
	Meta meta.Reader
	// Current is the store that Meta is a snapshot of; nil if it stands still.
	Current meta.Reader
	// Source finds the bytes.
	Source *segments.Source
	// Quotas are those of the configuration, by the name of the share; 0 is
	// none.
	Quotas map[string]tree.ShareUsage
	// Limit bounds the findings of each kind that are shown; 0 for all. All
	// are counted.
	Limit int
	// Rate bounds what Scrub reads, in bytes each second; 0 for no bound.
	Rate int64
	// Confirm, if not nil, is asked at the end whether Meta still says what
	// is true of the bytes.
	Confirm func(ctx context.Context) error
}

// Check checks the metadata, and that the bytes of files are where the index
// says. It changes nothing. The error says that the check is not complete.
func Check(ctx context.Context, o Options, emit func(Line) error) (Summary, error) {
	r := newReporter(o.Limit, emit)
	return o.run(ctx, r, o.metadata, o.bytes(false))
}

// Scrub reads all bytes of sealed segments and compares them with their
// checksums, at no more than a rate. It changes nothing.
func Scrub(ctx context.Context, o Options, emit func(Line) error) (Summary, error) {
	r := newReporter(o.Limit, emit)
	return o.run(ctx, r, o.bytes(true))
}

// Repair mends what can be mended without a loss, tells of it, and checks what
// is left. Nobody else may use the stores.
func Repair(ctx context.Context, o Options, store meta.Store, emit func(Line) error) (Summary, error) {
	o.Meta, o.Current = store, nil
	r := newReporter(o.Limit, emit)
	r.progress("repair", 0, 0)
	err := tree.Repair(ctx, store, func(f tree.Fault, done string) { r.addRepaired(ofTree(f), done) })
	if err == nil {
		err = segments.RepairLive(ctx, store, func(f segments.Fault, done string) { r.addRepaired(ofSegments(f), done) })
	}
	if err != nil {
		return r.sum, interrupted(ctx, fmt.Errorf("repair: %w", err))
	}
	return o.run(ctx, r, o.metadata, o.bytes(false))
}

func (o *Options) run(
	ctx context.Context, r *reporter, passes ...func(context.Context, *reporter) error,
) (Summary, error) {
	for _, pass := range passes {
		if err := pass(ctx, r); err != nil {
			return r.sum, interrupted(ctx, err)
		}
		if r.failed != nil {
			return r.sum, r.failed
		}
	}
	if o.Confirm != nil {
		if err := o.Confirm(ctx); err != nil {
			return r.sum, err
		}
	}
	sum, err := r.finish(ctx, o.Meta)
	return sum, interrupted(ctx, err)
}

func (o *Options) metadata(ctx context.Context, r *reporter) error {
	seen, err := tree.Survey(ctx, o.Meta, func(f tree.Fault) { r.add(ofTree(f)) },
		func(stage string, done int64) { r.progress(stage, done, 0) })
	if err != nil {
		return fmt.Errorf("metadata store: %w", err)
	}
	r.sum.Inodes, r.sum.Names, r.sum.Extents = seen.Inodes, seen.Names, seen.Extents
	r.sum.Held = seen.Held
	for _, name := range slices.Sorted(maps.Keys(seen.Shares)) {
		used, quota := seen.Shares[name], o.Quotas[name]
		if quota.Bytes > 0 && used.Bytes > quota.Bytes || quota.Inodes > 0 && used.Inodes > quota.Inodes {
			r.add(located{Finding: Finding{Kind: kindQuota, Share: name, Path: "/", What: fmt.Sprintf(
				"uses %d bytes and %d inodes, more than its quota of %d and %d",
				used.Bytes, used.Inodes, quota.Bytes, quota.Inodes)}})
		}
	}
	return nil
}

func (o *Options) bytes(deep bool) func(context.Context, *reporter) error {
	return func(ctx context.Context, r *reporter) error {
		seen, err := segments.Examine(ctx, segments.Examination{
			Index: o.Meta, Current: o.Current, Source: o.Source, Deep: deep, Rate: o.Rate,
			Report: func(f segments.Fault) { r.add(ofSegments(f)) }, Progress: r.progress,
		})
		r.sum.Extents, r.sum.Segments, r.sum.Objects, r.sum.Bytes = seen.Extents, seen.Segments, seen.Objects, seen.Bytes
		return err
	}
}
