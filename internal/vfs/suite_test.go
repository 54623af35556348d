package vfs_test

import (
	"os"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs/vfstest"
	"github.com/dittofs/dittofs/test/pgserver"
	"github.com/dittofs/dittofs/test/s3server"
)

// withS3 runs the tests with a shared S3 server.
type withS3 struct{ *testing.M }

func (m withS3) Run() int { return s3server.Run(m.M) }

func TestMain(m *testing.M) { os.Exit(pgserver.Run(withS3{m})) }

func TestFileSystemOverEveryCombinationOfStores(t *testing.T) {
	for _, s := range combinations {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel() // they wait for the disk most of the time
			vfstest.Run(t, s.open)
		})
	}
}
