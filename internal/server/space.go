package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/space"
	"github.com/dittofs/dittofs/pkg/config"
)

// newReserve watches over the disk of an embedded metadata store; nil if there
// is none.
func newReserve(cfg *config.Config, logger *slog.Logger) *space.Reserve {
	if !backendOf(cfg).Local {
		return nil
	}
	return space.New(func() (total, free uint64, err error) { return disk.OS{}.Statfs(cfg.Metadata.Path) }, logger)
}

// checkMetadataDisk refuses a disk for an embedded metadata store on which
// removals could not be written once it is full. It returns what is kept of it.
func checkMetadataDisk(cfg *config.Config) (reserve uint64, err error) {
	total, _, err := disk.OS{}.Statfs(existing(cfg.Metadata.Path))
	if err == nil && total < space.LeastDisk {
		err = fmt.Errorf("the disk of %s has %d MiB: give the metadata one of at least %d MiB",
			cfg.Metadata.Path, total>>20, space.LeastDisk>>20)
	}
	return space.Bytes(total), atField(metadataField(cfg), err)
}

// existing is the directory itself, or that in which it will be made.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
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

// Unwrap implements content.Wrapper: what is adopted was on the disk before.
func (r reserving) Unwrap() content.Store { return r.Store }

// Put implements content.Store.
func (r reserving) Put(ctx context.Context, name string, data io.ReaderAt, size int64) error {
	if err := r.reserve.Rewrite(size); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return r.Store.Put(ctx, name, data, size)
}
