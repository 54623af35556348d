package server

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

func TestClientsHaveSomeConnectionsHoweverFewDescriptorsThereAre(t *testing.T) {
	cfg := config.Default()
	for files, want := range map[int]int{8: 1, 200: 25, 1 << 20: maxConnections} {
		if l := limitsOf(cfg, files, callMemory); l.clients != want {
			t.Errorf("of %d descriptors clients have %d, want %d", files, l.clients, want)
		}
	}
}

func TestConnectionsTakeNoMoreMemoryThanTheirCallsMay(t *testing.T) {
	cfg := config.Default()
	for memory, want := range map[int64]int{1: 1, 64 << 20: 1024, callMemory: maxConnections} {
		if l := limitsOf(cfg, 1<<20, memory); l.clients != want {
			t.Errorf("with %d bytes for calls clients have %d connections, want %d", memory, l.clients, want)
		}
	}
}

func TestCallsMayHoldAQuarterOfTheMemoryOfTheProcess(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for limit, want := range map[int64]int64{512 << 20: 128 << 20, 8 << 30: callMemory, math.MaxInt64: callMemory} {
		debug.SetMemoryLimit(limit)
		if got := callMemoryLimit(); got != want {
			t.Errorf("of %d bytes calls may hold %d, want %d", limit, got, want)
		}
	}
}
