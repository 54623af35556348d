package vfstest

import (
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs"
)

// ManyExtents runs the test of a file with an extent for each byte, size of them.
func ManyExtents(t *testing.T, open Open, size int) {
	e := newEnv(t, open)
	extentForEachByte(e, size)
	e.settle()
	CheckConsistent(t, e.Meta)
}

// extentForEachByte makes a file of which every second byte is written, so that
// the holes between count too. What is written over it, read, or cut off must not
// take memory, or a batch, for all of it at once.
func extentForEachByte(e *env, size int) {
	f := e.create(super, e.top, "f", 0o644)
	want := []byte(strings.Repeat("\x00", size-1))
	for off := 0; off < size; off += 2 {
		want[off] = byte(off>>1) | 1
		e.write(f, uint64(off), string(want[off:off+1]), vfs.Unstable)
	}
	e.commit(f)
	if p := e.read(f, 0, uint32(size)); len(p) == 0 || len(p) > 1024 {
		e.Fatalf("a READ of a file of %d extents gave %d bytes", size, len(p))
	}
	e.holds(f, string(want))
	over := strings.Repeat("over", size/8)
	e.write(f, 0, over, vfs.FileSync)
	copy(want, over)
	e.holds(f, string(want))
	if used := e.attr(f).Used; used != uint64(3*size/4) {
		e.Fatalf("half of %d bytes was written whole, every second of the rest: %d are counted", size, used)
	}
	cut := size * 3 / 4
	e.truncate(f, uint64(cut))
	if used := e.attr(f).Used; used != uint64(size/2+size/8) {
		e.Fatalf("of %d bytes %d are counted after the last quarter was cut off", size, used)
	}
	e.crash()
	e.holds(f, string(want[:cut]))
}
