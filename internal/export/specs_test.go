package export

import (
	"testing"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/pkg/config"
)

func TestSharesOfAConfigurationAreMadeAsItSays(t *testing.T) {
	specs, err := Specs([]config.Share{{
		Name: "a", Path: "/elsewhere", Root: config.Root{UID: 1, GID: 2, Mode: "02750"},
		Quota: config.Quota{Bytes: 3, Inodes: 4},
	}})
	want := vfs.ShareSpec{Name: "a", Mode: 0o2750, UID: 1, GID: 2, QuotaBytes: 3, QuotaInodes: 4}
	if err != nil || len(specs) != 1 || specs[0] != want {
		t.Errorf("%+v, %v, want %+v", specs, err, want)
	}
	if _, err := Specs([]config.Share{{Name: "a", Root: config.Root{Mode: "9"}}}); err == nil {
		t.Error("a mode that is not octal is taken")
	}
}
