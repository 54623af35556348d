package server

import (
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestTheStoresLeaveDescriptorsForClients(t *testing.T) {
	for _, limit := range []int{512, 1024, 4096, 65536, 1 << 20} {
		for _, size := range []config.Size{64 << 20, 10 << 30, 1 << 40} {
			cfg := &config.Config{}
			cfg.Metadata.Type, cfg.Content.Type, cfg.Cache.Size = config.MetadataPebble, config.ContentFilesystem, size
			d := descriptorsOf(cfg, limit)
			l := limitsOf(cfg, limit, callMemory)
			if n := d.total() + l.clients + l.admin.Total + l.control; n > limit {
				t.Errorf("limit %d, cache of %d bytes: stores and listeners may want %d", limit, size, n)
			}
			if d.tables < 64 || d.journal < 32 || d.objects < 16 {
				t.Errorf("limit %d: %+v is too little to work with", limit, d)
			}
		}
	}
}
