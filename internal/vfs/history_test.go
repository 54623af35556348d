package vfs_test

import (
	"flag"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs/vfstest"
	"github.com/dittofs/dittofs/pkg/config"
)

// A normal run takes seconds; flags ask for more.
func init() {
	_ = flag.Set("rapid.checks", "12")
	_ = flag.Set("rapid.steps", "60")
	_ = flag.Set("rapid.nofailfile", "true") // the seed is printed
}

func TestRandomHistoriesMatchAModel(t *testing.T) {
	for _, s := range combinations {
		if s.busy && s.remote {
			continue // a later unstable write may outlive an earlier one, in another segment: allowed, but not by the model
		}
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel() // they wait for the disk most of the time
			oneIn := 1
			if s.metadata == config.MetadataPostgres {
				oneIn = 4 // each needs a database of its own
			}
			vfstest.RunHistories(t, s.open, oneIn)
		})
	}
}
