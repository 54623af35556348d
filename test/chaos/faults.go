package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/test/faultproxy"
	"golang.org/x/sys/unix"
)

// fault is something that can go wrong for a while. Of a kind, such as "s3", one is there at a time.
type fault struct {
	kind, name string
	begin      func() error
	end        func() error // nil: nothing has to be given back
}

// faults are those that fit the world.
func (w *world) faults(random *rand.Rand) []fault {
	all := []fault{
		{"server", "kill", func() error { w.end(syscall.SIGKILL); return nil }, nil},
		{"server", "kill", func() error { w.end(syscall.SIGKILL); return nil }, nil}, // the more often
		{"server", "term", func() error { w.end(syscall.SIGTERM); return nil }, nil},
		{"disk", "full", w.fillDisk, w.freeDisk},
	}
	if *clocks {
		all = append(all, fault{
			"clock", "jump", func() error { w.clock.set(jump(random)); return nil }, func() error { w.clock.set(0); return nil },
		})
	}
	if w.remote {
		all = append(all, fault{"server", "loss", func() error { w.lose(); return nil }, nil})
	}
	if w.s3 {
		all = append(all,
			fault{"s3", "stop", func() error { w.objects.Stop(); return nil }, w.objects.Resume},
			fault{"s3", "pause", w.objects.Pause, w.objects.Continue},
			fault{"s3", "refused", func() error { w.proxy.Down(); return nil }, w.proxy.Up},
			w.proxied("500", faultproxy.Rule{Kind: faultproxy.Status500}),
			w.proxied("503", faultproxy.Rule{Kind: faultproxy.SlowDown}),
			w.proxied("reset", faultproxy.Rule{Kind: faultproxy.ResetAfter}),
			w.proxied("truncate", faultproxy.Rule{Kind: faultproxy.Truncate}),
			w.proxied("slow", faultproxy.Rule{Kind: faultproxy.Slow, Rate: 512 << 10}),
			w.proxied("lost", faultproxy.Rule{Kind: faultproxy.LostAnswer}),
			fault{
				"s3", "random", func() error { w.proxy.Random(random.Uint64(), 0.3); return nil },
				func() error { w.proxy.Random(0, 0); return nil },
			},
		)
	}
	if w.postgres {
		all = append(all,
			fault{"postgres", "stop", w.pg.StopImmediately, w.pg.Restart},
			fault{"postgres", "pause", w.pg.Pause, w.pg.Resume},
			fault{"postgres", "kill", w.pg.Kill, w.pg.Restart},
		)
	}
	return all
}

// lose kills the server, and starts the next one without the cache.
func (w *world) lose() {
	w.lost.Store(true)
	w.end(syscall.SIGKILL)
}

func (w *world) proxied(name string, rule faultproxy.Rule) fault {
	return fault{"s3", name, func() error { w.proxy.Set(rule); return nil }, func() error { w.proxy.Set(); return nil }}
}

// jump is a minute to two days, forward or back.
func jump(random *rand.Rand) time.Duration {
	d := time.Minute + time.Duration(random.Int64N(int64(48*time.Hour)))
	if random.IntN(2) == 0 {
		return -d
	}
	return d
}

// chosen are the faults that -faults names; all without it.
func chosen(all []fault, names string) (some []fault) {
	for _, f := range all {
		for _, prefix := range strings.Split(names, ",") {
			if strings.HasPrefix(f.kind+"-"+f.name, prefix) {
				some = append(some, f)
				break
			}
		}
	}
	return some
}

func (w *world) filler() string { return filepath.Join(w.disk, "filler") }

// fillDisk leaves no byte.
func (w *world) fillDisk() error {
	f, err := os.OpenFile(w.filler(), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size >= 4096; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) freeDisk() error { return os.Remove(w.filler()) }
