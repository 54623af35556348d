package vfs_test

import (
	"testing"

	"github.com/dittofs/dittofs/internal/vfs/vfstest"
)

func TestManyWorkersLeaveAConsistentFileSystem(t *testing.T) {
	for _, s := range combinations {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel() // they wait for the disk most of the time
			vfstest.RunStress(t, s.open)
		})
	}
}
