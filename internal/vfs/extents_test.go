package vfs_test

import (
	"testing"

	"github.com/dittofs/dittofs/internal/vfs/vfstest"
)

// A batch for all extents at once would be of 4.5 MB.
func TestAFileOfVeryManyExtentsIsReadAndWrittenInSteps(t *testing.T) {
	vfstest.ManyExtents(t, onDisk.open, 256<<10)
}
