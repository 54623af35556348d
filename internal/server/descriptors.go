package server

import (
	"fmt"
	"syscall"

	"github.com/dittofs/dittofs/internal/content/filesystem"
	"github.com/dittofs/dittofs/internal/content/s3"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/pkg/config"
)

// descriptors is what the stores may have open at once. Connections of clients
// have what is left.
type descriptors struct {
	tables   int // of the embedded metadata store
	others   int // of the same
	journal  int // files of cache.path
	objects  int // files of content.path
	database int // connections
	bucket   int // connections
}

// passing are descriptors that are open for moments: directories that are
// synced, files that are copied, the configuration, credentials, the log.
const passing = 32

// total is what the stores may need at most.
func (d descriptors) total() int {
	return d.tables + d.others + d.journal + d.objects + d.database + d.bucket + passing
}

// leastDescriptors is the least limit with which the stores open and a client can
// connect; an idle server has half of it open.
const leastDescriptors = 40

// checkDescriptors refuses a limit (RLIMIT_NOFILE) with which a start would wait
// for descriptors that never come.
func checkDescriptors(limit int) error {
	if limit >= leastDescriptors {
		return nil
	}
	return atField("RLIMIT_NOFILE", fmt.Errorf("the process may have %d descriptors and needs %d at least: "+
		"raise the limit (ulimit -n, LimitNOFILE of systemd); 1024 or more are better", limit, leastDescriptors))
}

// fileLimit is RLIMIT_NOFILE, to which Go has raised the soft limit.
func fileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // what Linux begins with
	}
	return int(min(limit.Cur, 1<<30))
}

// descriptorsOf divides a limit (RLIMIT_NOFILE): the stores take what they want,
// but files about a quarter of it at most, down to the least that they work with.
func descriptorsOf(cfg *config.Config, limit int) descriptors {
	b := backendOf(cfg)
	d := descriptors{others: b.Files.Others}
	if b.Connections != nil {
		d.database = b.Connections(settingsOf(cfg))
	}
	if cfg.Content.Type == config.ContentS3 {
		d.bucket = s3.Connections(int(cfg.Content.ParallelTransfers))
	}
	share := func(most, least, part int) int { return min(most, max(least, limit/part)) }
	if b.Files.Most > 0 {
		d.tables = share(b.Files.Most, b.Files.Least, 10)
	}
	// Segments of the journal are 64 MiB; as many copies at most stay open.
	d.journal = share(int(min(int64(cfg.Cache.Size)/(64<<20), 1<<20))*4/3+data.LeastFiles, data.LeastFiles, 12)
	if cfg.Content.Type == config.ContentFilesystem {
		d.objects = share(filesystem.DefaultOpenFiles, 16, 16)
	}
	return d
}
