package vfs_test

import (
	"testing"

	"github.com/dittofs/dittofs/internal/vfs/vfstest"
	"github.com/dittofs/dittofs/test/pgserver"
)

func TestMain(m *testing.M) { pgserver.Main(m) }

func TestFileSystemOverEveryCombinationOfStores(t *testing.T) {
	for _, s := range combinations {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel() // they wait for the disk most of the time
			vfstest.Run(t, s.open)
		})
	}
}
