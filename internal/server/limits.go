package server

import (
	"math"
	"runtime/debug"

	"github.com/dittofs/dittofs/internal/netlimit"
	"github.com/dittofs/dittofs/pkg/config"
)

const (
	// maxConnections is the most connections of NFS clients, however many
	// descriptors there are.
	maxConnections = 4096
	// connectionMemory is what a connection that is not idle may take of the
	// process besides its calls, in bytes: buffers for what has arrived.
	connectionMemory = 64 << 10
	// callMemory is what calls may hold together if the process has no limit.
	callMemory = 256 << 20
)

// listenerLimits is how many connections each listener may have.
type listenerLimits struct {
	clients, control int
	admin            netlimit.Limits
}

// limitsOf divides the descriptors that the stores leave of a limit
// (RLIMIT_NOFILE). Probes and commands have theirs first; clients have an eighth
// of all at least, for the stores rarely need at once all that they may. All
// connections take no more memory than their calls may, in bytes.
func limitsOf(cfg *config.Config, files int, memory int64) listenerLimits {
	l := listenerLimits{
		admin:   netlimit.Limits{Total: min(256, max(8, files/16))},
		control: min(64, max(4, files/32)),
	}
	l.admin.PerClient = l.admin.Total / 4
	left := files - descriptorsOf(cfg, files).total() - l.admin.Total - l.control
	l.clients = min(maxConnections, max(1, files/8, left), max(1, int(memory/connectionMemory)))
	return l
}

// callMemoryLimit is a quarter of GOMEMLIMIT.
func callMemoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return min(limit/4, callMemory)
	}
	return callMemory
}
