package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// memoryLimit bounds the server's memory: it serves a dozen connections and caches next to nothing.
	memoryLimit = 1 << 30
	// idleGoroutines is how many more goroutines an idle server may have than one that was just started.
	idleGoroutines = 40
)

// bounds are the largest figures that were seen.
type bounds struct {
	cache, memory int64
}

func (b *bounds) err() error {
	var errs []error
	if b.cache > cacheSize {
		errs = append(errs, fmt.Errorf("cache.path had %d bytes, cache.size is %d", b.cache, cacheSize))
	}
	if b.memory > memoryLimit {
		errs = append(errs, fmt.Errorf("the server had %d bytes of memory, the limit is %d", b.memory, memoryLimit))
	}
	return errors.Join(errs...)
}

// watcher looks at the bounds all the time.
type watcher struct {
	ends chan struct{}
	done chan *bounds
}

func (w *world) watch() *watcher {
	s := &watcher{ends: make(chan struct{}), done: make(chan *bounds)}
	go func() {
		b := &bounds{}
		for {
			b.cache = max(b.cache, diskUsage(filepath.Join(w.disk, "cache")))
			if rss, err := w.server.RSS(); err == nil { // it may have been killed just now
				b.memory = max(b.memory, rss)
			}
			select {
			case <-s.ends:
				s.done <- b
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return s
}

func (s *watcher) stop() *bounds {
	close(s.ends)
	return <-s.done
}

// diskUsage is what a directory takes on the disk. Files come and go meanwhile.
func diskUsage(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return sum
}

// quiescent waits until the server, without clients, has about as many goroutines as when it was new.
func (w *world) quiescent(before float64) error {
	var now float64
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		m, err := w.server.Metrics()
		if err != nil {
			return err
		}
		if now = m["go_goroutines"]; now <= before+idleGoroutines {
			return nil
		}
	}
	return fmt.Errorf("the idle server has %.0f goroutines; when it was new it had %.0f", now, before)
}

// crashes are the ends of servers that no server may have.
func (s *starts) crashes() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, why := range s.byItself {
		if *verbose {
			fmt.Println("chaos: the server ended by itself:", why)
		}
		if strings.Contains(why, "panic: ") || strings.Contains(why, "fatal error: ") || strings.Contains(why, "DATA RACE") {
			errs = append(errs, errors.New("the server crashed: "+why))
		}
	}
	return errors.Join(errs...)
}
