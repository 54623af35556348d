package pebble

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// roomOf is the part of the reserve below which batches wait.
	roomOf = 4
	// roomPause is between two looks at the disk, roomPatience how long a batch
	// waits at most.
	roomPause    = 10 * time.Millisecond
	roomPatience = time.Second
)

// room holds batches back on a disk that is almost full, as long as compactions
// are at work: what is removed takes space first, and gives some back only when it
// has sunk to what it removes. Removals can come faster than that.
type room struct {
	least      uint64 // bytes
	free       func() (uint64, error)
	compacting atomic.Int32
	looked     time.Time // of the one that applies
}

func newRoom(fs vfs.FS, path string, reserve uint64) *room {
	if reserve == 0 {
		reserve = largeReserve
	}
	return &room{least: reserve / roomOf, free: func() (uint64, error) {
		usage, err := fs.GetDiskUsage(path)
		return usage.AvailBytes, err
	}}
}

func (r *room) begin(pebble.CompactionInfo) { r.compacting.Add(1) }
func (r *room) end(pebble.CompactionInfo)   { r.compacting.Add(-1) }

// await returns when there is room, or waiting does not help. Callers exclude each
// other.
func (r *room) await() {
	if time.Since(r.looked) < roomPause {
		return
	}
	for end := time.Now().Add(roomPatience); r.compacting.Load() > 0 && r.low() && time.Now().Before(end); {
		time.Sleep(roomPause)
	}
	r.looked = time.Now()
}

// low reports whether the disk is almost full. One that cannot be asked is not.
func (r *room) low() bool {
	free, err := r.free()
	return err == nil && free < r.least
}
