package vfs

import (
	"math/rand/v2"
	"testing"
)

// Inodes whose numbers are alike share a count, which their number can exceed: those in memory must be found all the
// same.
func TestANodeIsFoundAsLongAsItIsInMemory(t *testing.T) {
	s := nodeShard{nodes: map[uint64]*node{}}
	inodes := make([]uint64, 600) // of two kinds
	for i := range inodes {
		inodes[i] = nodeShards * (uint64(i%2) + uint64(i)*uint64(len(s.like)))
	}
	in := map[uint64]bool{}
	check := func() {
		t.Helper()
		for _, ino := range inodes {
			if found := s.find(ino) != nil; found != in[ino] {
				t.Fatalf("of %d in memory, inode %d is found: %v, is there: %v", len(in), ino, found, in[ino])
			}
		}
	}
	for range 2 {
		for _, i := range rand.Perm(len(inodes)) {
			s.insert(&node{ino: inodes[i]})
			in[inodes[i]] = true
			check()
		}
		for _, i := range rand.Perm(len(inodes)) {
			s.remove(inodes[i])
			delete(in, inodes[i])
			check()
		}
	}
}
