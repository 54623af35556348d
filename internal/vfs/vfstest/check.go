package vfstest

import (
	"context"

	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
)

// CheckConsistent fails the test for every fault that vfs.Check finds. Nothing
// may be changing the filesystem, and no data may be dirty.
func CheckConsistent(t T, r meta.Reader) {
	t.Helper()
	faults := 0
	err := tree.Check(context.Background(), r, func(f tree.Fault) {
		if faults++; faults <= 20 {
			t.Errorf("inconsistent: %v", f)
		}
	})
	if err != nil {
		t.Errorf("check of the metadata: %v", err)
	}
}
