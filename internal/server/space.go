package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"syscall"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/space"
	"github.com/dittofs/dittofs/pkg/config"
)

// newReserve watches over the disk of an embedded metadata store; nil if there
// is none.
func newReserve(cfg *config.Config, logger *slog.Logger) *space.Reserve {
	if cfg.Metadata.Type != config.MetadataPebble {
		return nil
	}
	return space.New(func() (total, free uint64, err error) { return disk.OS{}.Statfs(cfg.Metadata.Path) }, logger)
}

// sameDisk says whether two directories are on one filesystem.
func sameDisk(a, b string) bool {
	var sa, sb syscall.Stat_t
	return syscall.Stat(a, &sa) == nil && syscall.Stat(b, &sb) == nil && sa.Dev == sb.Dev
}

// reserving is a content store that refuses objects for which no space is left.
type reserving struct {
	content.Store
	reserve *space.Reserve
}

// Put implements content.Store.
func (r reserving) Put(ctx context.Context, name string, data io.ReaderAt, size int64) error {
	if err := r.reserve.Rewrite(size); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return r.Store.Put(ctx, name, data, size)
}
