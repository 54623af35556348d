package server

import (
	"math"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const (
	// maxConnections is the most connections of NFS clients, however many
	// descriptors there are.
	maxConnections = 4096
	// storeDescriptors is what is kept for stores, probes and commands, if half
	// of all descriptors is as much.
	storeDescriptors = 1024
	// callMemory is what calls may hold together if the process has no limit.
	callMemory = 256 << 20
)

// connectionLimit is how many client connections leave enough of the process's
// descriptors for its stores.
func connectionLimit() int {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return maxConnections
	}
	return connectionsOf(files.Cur)
}

func connectionsOf(descriptors uint64) int {
	kept := min(descriptors/2, storeDescriptors)
	return int(max(1, min(descriptors-kept, maxConnections)))
}

// callMemoryLimit is a quarter of GOMEMLIMIT.
func callMemoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return min(limit/4, callMemory)
	}
	return callMemory
}
