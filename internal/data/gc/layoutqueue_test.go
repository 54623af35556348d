package gc

import (
	"testing"
	"time"
)

func TestFilesThatWaitToBeLaidOutAreBounded(t *testing.T) {
	var q layoutQueue
	for ino := range uint64(2 * maxLayouts) {
		q.add(ino, 0, 1, time.Now())
	}
	if q.n.Load() != maxLayouts || len(q.m) != maxLayouts {
		t.Errorf("%d files wait", len(q.m))
	}
}
