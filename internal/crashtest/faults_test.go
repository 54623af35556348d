package crashtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/disk/crashdisk"
	"github.com/dittofs/dittofs/internal/vfs"
)

// TestASyncThatFailsLosesNothingAcknowledged makes one sync after the other
// fail. The filesystem has to stop; what it had acknowledged must be there when
// it is started again, also when the power fails later: pages of a sync that
// failed look written, and are not.
func TestASyncThatFailsLosesNothingAcknowledged(t *testing.T) {
	isSync := func(o crashdisk.Op) bool { return o.Kind == crashdisk.Sync || o.Kind == crashdisk.SyncDir }
	failEach(t, isSync, unix.EIO)
}

func TestAWriteThatFailsLosesNothingAcknowledged(t *testing.T) {
	isWrite := func(o crashdisk.Op) bool {
		return !isName(o) && o.Kind != crashdisk.Sync && o.Kind != crashdisk.SyncDir
	}
	failEach(t, isWrite, unix.EIO)
}

func TestANameThatCannotBeMadeLosesNothingAcknowledged(t *testing.T) {
	failEach(t, isName, unix.EIO)
}

func TestADiskThatIsFullNowAndThenLosesNothingAcknowledged(t *testing.T) {
	takes := func(o crashdisk.Op) bool {
		return o.Kind == crashdisk.Write || o.Kind == crashdisk.Allocate || o.Kind == crashdisk.Create
	}
	failEach(t, takes, unix.ENOSPC)
}

func isName(o crashdisk.Op) bool { return o.Kind >= crashdisk.Create && o.Kind <= crashdisk.Remove }

// failEach makes one of the operations fail that pick says, a later one in each
// run, until a run gets by without.
func failEach(t *testing.T, pick func(crashdisk.Op) bool, cause error) {
	s := newSearch(t)
	const runs = 20 / less
	every := int64(1)
	runsDone, survived := 0, 0
	for failAt := int64(1); ; failAt += every {
		var n atomic.Int64
		opts := busy
		opts.Fail = func(o crashdisk.Op) error {
			if pick(o) && n.Add(1) == failAt {
				return cause
			}
			return nil
		}
		d, h, err := run(kind{Busy: true, Remote: failAt%2 == 0}, opts, s.seed, *flagSteps/4)
		if errors.Is(err, errStale) {
			t.Errorf("operation %d failed: %v", failAt, err)
		}
		if n.Load() < failAt {
			if err != nil {
				t.Fatalf("nothing failed, but: %v", err)
			}
			break
		}
		if failAt == 1 {
			every = max(1, s.count(pick)/runs)
		}
		runsDone++
		if err == nil {
			survived++
		}
		s.afterwards(d, h, fmt.Sprintf("operation %d failed", failAt))
		if t.Failed() {
			break
		}
	}
	if runsDone == 0 {
		t.Error("no operation failed: the test shows nothing")
	}
	t.Logf("%d operations failed, in %d runs the filesystem went on; clones: %d, of these in the middle of a recovery: %d, lost: %d (seed %d)",
		runsDone, survived, s.clones.Load(), s.nested.Load(), s.lost.Load(), s.seed)
}

// count returns how many such operations a run has.
func (s *search) count(pick func(crashdisk.Op) bool) (n int64) {
	d, _, err := run(kind{Busy: true}, busy, s.seed, *flagSteps/4)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range d.Len() {
		if pick(d.At(i)) {
			n++
		}
	}
	return n
}

// afterwards starts again what has stopped, kills that too, and cuts the power.
func (s *search) afterwards(d *crashdisk.Disk, h *history, what string) {
	r := end(d)
	rnd := rand.New(rand.NewPCG(s.seed, uint64(d.Len())))
	for range 4 {
		seed := rnd.Uint64()
		s.try(h, crash{r.Kill(), r.Pos(), what + ", then a kill", seed})
		s.try(h, crash{r.PowerCut(seed), r.Pos(), fmt.Sprintf("%s, then power cut %d", what, seed), seed})
	}
	if s.lost.Load() > 0 {
		s.save(d, h)
	}
}

// TestAFullDiskLosesNothingAcknowledged fills disks of several sizes.
func TestAFullDiskLosesNothingAcknowledged(t *testing.T) {
	s := newSearch(t)
	small, stopped := 0, 0
	for capacity := int64(100 << 10); capacity < 2<<20 && !t.Failed(); capacity = capacity * 5 / 4 {
		opts := busy
		opts.Capacity = capacity
		d, h, err := run(kind{Busy: true, Remote: capacity%2 == 0}, opts, s.seed, *flagSteps/2)
		if d.Full() == 0 {
			break
		}
		small++
		if errors.Is(err, errStale) {
			t.Errorf("a disk of %d bytes was full: %v", capacity, err)
		}
		if err != nil {
			stopped++
		}
		d.SetCapacity(1 << 30)
		s.afterwards(d, h, fmt.Sprintf("a disk of %d bytes was full", capacity))
	}
	t.Logf("%d disks were too small, %d of them stopped the filesystem; clones: %d, of these in the middle of a recovery: %d, lost: %d (seed %d)",
		small, stopped, s.clones.Load(), s.nested.Load(), s.lost.Load(), s.seed)
	if small == 0 {
		t.Error(errors.New("no disk was full: the test shows nothing"))
	}
}

// TestASegmentIsWrittenAgainAfterAFailedSync is about pages that hold both
// acknowledged bytes and some of a sync that failed: the system shows them, but
// will not write them any more.
func TestASegmentIsWrittenAgainAfterAFailedSync(t *testing.T) {
	for unsynced := range 4 { // of which writes survive
		var fail atomic.Bool
		d := crashdisk.New(crashdisk.Options{Fail: func(o crashdisk.Op) error {
			if fail.Load() && o.Kind == crashdisk.Sync && strings.HasSuffix(o.Path, ".seg") {
				return unix.EIO
			}
			return nil
		}})
		i, err := openInstance(d, kind{})
		if err != nil {
			t.Fatal(err)
		}
		e := &exhibit{files: map[string][]byte{}, ids: map[string]vfs.ID{}}
		e.write(t, i, "kept", []byte("acknowledged"))
		fail.Store(true)
		for range unsynced {
			if _, _, err := i.fs.Write(asRoot, e.ids["kept"], 1000, []byte("unstable"), vfs.Unstable); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := i.fs.Write(asRoot, e.ids["kept"], 2000, []byte("never acknowledged"), vfs.FileSync); err != vfs.EIO {
			t.Fatalf("write: %v", err)
		}
		i.abort()
		restarted := end(d).Kill()
		for _, d := range []*crashdisk.Disk{restarted, nil} {
			if d == nil {
				d = end(restarted).PowerCut(1)
			}
			i, err := openInstance(d, kind{})
			if err != nil {
				t.Fatal(err)
			}
			if eio, err := e.look(i); eio > 0 || err != nil {
				t.Errorf("after %d unstable writes: %d files cannot be read, %v", unsynced, eio, err)
			}
			i.abort()
		}
	}
}

// end is the walk along the whole log.
func end(d *crashdisk.Disk) *crashdisk.Replay {
	r := d.Replay()
	for r.Step() {
	}
	return r
}
