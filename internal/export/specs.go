package export

import (
	"fmt"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

// Specs are the shares of a configuration, as the filesystem makes them.
func Specs(shares []config.Share) ([]vfs.ShareSpec, error) {
	specs := make([]vfs.ShareSpec, len(shares))
	for i := range shares {
		s := &shares[i]
		mode, err := s.Root.FileMode()
		if err != nil {
			return nil, fmt.Errorf("share %q: root.mode: %w", s.Name, err)
		}
		specs[i] = vfs.ShareSpec{
			Name: s.Name, Mode: mode, UID: s.Root.UID, GID: s.Root.GID,
			QuotaBytes: int64(s.Quota.Bytes), QuotaInodes: int64(s.Quota.Inodes),
		}
	}
	return specs, nil
}
