package vfs_test

import (
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

// TestStatFSShowsTheLesserOfQuotaAndDisk has 3,000 bytes in a share on a disk of 100,000.
func TestStatFSShowsTheLesserOfQuotaAndDisk(t *testing.T) {
	total, free := uint64(100_000), uint64(40_000)
	h := inMemory.home(t)
	h.capacity = func() (uint64, uint64, error) { return total, free, nil }
	i := h.open(t)
	f := file(t, i, "f")
	if _, _, err := i.FS.Write(asRoot, f, 0, []byte(strings.Repeat("x", 3000)), vfs.FileSync); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		quota       config.Size
		total, free uint64 // of the disk
		want        [3]uint64
	}{
		"no quota":                   {0, 100_000, 40_000, [3]uint64{100_000, 40_000, 40_000}},
		"quota within the disk":      {10_000, 100_000, 40_000, [3]uint64{10_000, 7_000, 7_000}},
		"disk is fuller than that":   {10_000, 100_000, 5_000, [3]uint64{10_000, 7_000, 5_000}},
		"full disk":                  {10_000, 100_000, 0, [3]uint64{10_000, 7_000, 0}},
		"quota larger than the disk": {1 << 50, 100_000, 40_000, [3]uint64{100_000, 97_000, 40_000}},
		"quota was lowered":          {2_000, 100_000, 40_000, [3]uint64{2_000, 0, 0}},
		"disk beyond all bounds":     {0, 1 << 63, 1<<63 - 1, [3]uint64{1 << 60, 1 << 60, 1 << 60}},
	} {
		total, free = c.total, c.free
		if _, err := i.Shares([]vfs.ShareSpec{{Name: "main", Mode: 0o755, QuotaBytes: int64(c.quota)}}); err != nil {
			t.Fatal(err)
		}
		st, _, err := i.FS.StatFS(asRoot, f)
		if got := [3]uint64{st.TotalBytes, st.FreeBytes, st.AvailBytes}; err != nil || got != c.want {
			t.Errorf("%s: %d (%v), want %d: all, free, available", name, got, err, c.want)
		}
	}
}
