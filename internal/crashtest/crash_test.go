package crashtest

import (
	"encoding/gob"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/disk/crashdisk"
	"github.com/dittofs/dittofs/internal/fsck/segments"
	"github.com/dittofs/dittofs/internal/fsck/tree"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs"
)

var (
	flagSeed   = flag.Uint64("crash.seed", 0, "seed of the workload and of the power cuts; 0: another one each time")
	flagSteps  = flag.Int("crash.steps", 400, "steps of each worker")
	flagPoints = flag.Int("crash.points", 250/less, "crash points to try in each test")
	flagAll    = flag.Bool("crash.all", false, "try every operation of the log, in every way")
	flagDamage = flag.Int("crash.damage", 12/less, "times that each kind of file is damaged")
	flagReplay = flag.String("crash.replay", "", "file of a failure, to try its crash points again")
	flagFrom   = flag.Int("crash.from", 0, "first crash point to try")
	flagTo     = flag.Int("crash.to", never, "last crash point to try")
)

func TestNothingAcknowledgedIsLostAtAnyWriteOrSync(t *testing.T) {
	for name, k := range map[string]kind{
		"content on the same disk":    {Busy: true},
		"content elsewhere":           {Busy: true, Remote: true},
		"content elsewhere, and safe": {Busy: true, Remote: true, Safe: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSearch(t)
			d, h := s.d, s.h
			if d == nil {
				var err error
				if d, h, err = run(k, busy, s.seed, *flagSteps); err != nil {
					t.Fatalf("workload with seed %d: %v", s.seed, err)
				}
			}
			s.everywhere(d, h)
		})
	}
}

// search tries crash points.
type search struct {
	t    *testing.T
	seed uint64
	d    *crashdisk.Disk // of a replay, else nil
	h    *history

	loseCache bool // with each crash

	points, clones, nested, lost atomic.Int64
}

func newSearch(t *testing.T) *search {
	s := &search{t: t, seed: *flagSeed}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	if *flagReplay != "" {
		s.load(*flagReplay)
	}
	return s
}

// everywhere tries the crash points of a disk, in parallel, and reports.
func (s *search) everywhere(d *crashdisk.Disk, h *history) {
	every := max(d.Len() / *flagPoints, 1)
	if *flagAll {
		every = 1
	}
	var all sync.WaitGroup
	busy := make(chan struct{}, runtime.GOMAXPROCS(0))
	rnd := rand.New(rand.NewPCG(s.seed, 1))
	for r := d.Replay(); r.Step() && s.lost.Load() < 3; {
		pos := r.Pos()
		if pos%every != 0 || pos < *flagFrom || pos > *flagTo {
			continue
		}
		s.points.Add(1)
		for _, c := range s.crashes(r, rnd) {
			busy <- struct{}{}
			all.Go(func() {
				defer func() { <-busy }()
				s.try(h, c)
			})
		}
	}
	all.Wait()
	if h.Kind.Busy && h.Compacted == 0 && !s.loseCache {
		s.t.Errorf("no segment was compacted (seed %d)", s.seed)
	}
	if h.Kind.Busy && h.LaidOut == 0 && !s.loseCache && *flagSteps >= 400 {
		s.t.Errorf("nothing was laid out again (seed %d)", s.seed)
	}
	if h.Compared == 0 || h.Gone == 0 {
		s.t.Errorf("%d cached pairs were compared, %d were not in the cache (seed %d)", h.Compared, h.Gone, s.seed)
	}
	s.t.Logf("%d segments compacted, %d bytes laid out again, %d cached pairs compared, %d operations on the disk; crash points tried: %d, clones: %d, of these in the middle of a recovery: %d, lost: %d (seed %d)",
		h.Compacted, h.LaidOut, h.Compared, d.Len(), s.points.Load(), s.clones.Load(), s.nested.Load(), s.lost.Load(), s.seed)
	if s.lost.Load() > 0 {
		s.save(d, h)
	}
}

// crash is a disk after one.
type crash struct {
	d    *crashdisk.Disk
	pos  int
	how  string
	seed uint64
}

// crashes are the ones to try at a point: usually one power cut, and a kill at
// every fourth.
func (s *search) crashes(r *crashdisk.Replay, rnd *rand.Rand) (all []crash) {
	cuts := 1
	if *flagAll {
		cuts = 3
	}
	for range cuts {
		seed := rnd.Uint64()
		all = append(all, crash{r.PowerCut(seed), r.Pos(), fmt.Sprintf("power cut %d after %v", seed, r.Last()), seed})
	}
	if *flagAll || rnd.IntN(4) == 0 {
		all = append(all, crash{r.Kill(), r.Pos(), fmt.Sprintf("kill after %v", r.Last()), rnd.Uint64()})
	}
	return all
}

// try opens the filesystem after a crash, after a crash of its recovery, and
// lets it go on working.
func (s *search) try(h *history, c crash) {
	rnd := rand.New(rand.NewPCG(c.seed, 2))
	s.clones.Add(1)
	if s.loseCache {
		c.loseCache(s.t)
	}
	err := recoverAndVerify(h, c, rnd.IntN(4) == 0)
	if err == nil {
		err = s.again(h, c, rnd)
	}
	if err != nil && s.lost.Add(1) <= 3 {
		s.t.Errorf("crash point %d, %s: %v", c.pos, c.how, err)
	}
}

// loseCache removes the cache directory, once and for all.
func (c *crash) loseCache(t *testing.T) {
	if err := errors.Join(disk.RemoveAll(c.d, "/cache"), c.d.SyncDir("/")); err != nil {
		t.Error(err)
	}
	c.d = end(c.d).Kill()
}

// again crashes the recovery that c.d has in its log, and what came after it.
func (s *search) again(h *history, c crash, rnd *rand.Rand) error {
	n := c.d.Len()
	if n == 0 {
		return nil
	}
	at := 1 + rnd.IntN(n)
	for r := c.d.Replay(); r.Step(); {
		if r.Pos() != at {
			continue
		}
		next := crash{r.Kill(), c.pos, "", rnd.Uint64()}
		how := "kill"
		if rnd.IntN(4) > 0 {
			next.d, how = r.PowerCut(next.seed), fmt.Sprintf("power cut %d", next.seed)
		}
		s.clones.Add(1)
		s.nested.Add(1)
		if err := recoverAndVerify(h, next, rnd.IntN(4) == 0); err != nil {
			return fmt.Errorf("then %s after %d of %d operations of the recovery, %v: %w", how, at, n, r.Last(), err)
		}
	}
	return nil
}

// recoverAndVerify opens a filesystem on the disk and looks for what must be
// there. With goOn it also has to work.
func recoverAndVerify(h *history, c crash, goOn bool) error {
	i, err := openInstance(c.d, h.Kind.afterwards())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = h.verifyAll(i, c.pos)
	if err == nil && goOn {
		i, err = h.goOn(i, c)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", errors.Join(err, i.failure()), i.said)
	}
	i.abort()
	return err
}

// verifyAll also checks that everything fits together, when the start has reclaimed
// what was removed: a file that was held when it lost its name is there until then.
func (h *history) verifyAll(i *instance, pos int) error {
	if err := reclaimed(i); err != nil {
		return err
	}
	if err := h.verify(i, pos); err != nil {
		return err
	}
	return consistent(i)
}

// reclaimed waits until the data of removed files has been reclaimed, which every
// start does.
func reclaimed(i *instance) error {
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		left, err := i.log.Scan(background, meta.PrefixRange([]byte{'o'}), 1)
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the data of removed files is not reclaimed: %q", left)
		}
	}
}

// consistent checks all metadata, and that the bytes are where it says.
func consistent(i *instance) error {
	var faults []string
	err := tree.Check(background, i.log, func(f tree.Fault) { faults = append(faults, f.String()) })
	_, examined := segments.Examine(background, segments.Examination{
		Index: i.log, Current: i.log, Source: i.source, Report: func(f segments.Fault) {
			faults = append(faults, f.String())
		},
	})
	err = errors.Join(err, examined, i.pairs.agreeOnAll(i.log))
	if len(faults) > 0 {
		err = errors.Join(err, fmt.Errorf("inconsistent: %s", strings.Join(faults, "; ")))
	}
	return err
}

// goneOn is the file of goOn, which a crash may leave.
const goneOn = "gone on"

// goOn writes a new file, stops in good order, and looks at everything again
// in the next instance, which it returns.
func (h *history) goOn(i *instance, c crash) (*instance, error) {
	a, _, err := i.fs.Create(asRoot, i.top, goneOn, vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		return i, fmt.Errorf("create after the crash: %w", err)
	}
	if _, _, err := i.fs.Write(asRoot, a.ID, 0, []byte("content"), vfs.FileSync); err != nil {
		return i, fmt.Errorf("write after the crash: %w", err)
	}
	if err := i.close(); err != nil {
		return i, fmt.Errorf("stop after the crash: %w", err)
	}
	next, err := openInstance(c.d, h.Kind.afterwards())
	if err != nil {
		return i, fmt.Errorf("second start: %w", err)
	}
	if got, err := readAll(next, a.ID, 0, 7); err != nil || string(got) != "content" {
		return next, fmt.Errorf("after the second start: read %q, %w", got, err)
	}
	if _, err := next.fs.Remove(asRoot, next.top, goneOn); err != nil {
		return next, fmt.Errorf("after the second start: %w", err)
	}
	if err := h.verifyAll(next, c.pos); err != nil {
		return next, fmt.Errorf("after the second start: %w", err)
	}
	return next, nil
}

// save keeps the log and the history of a failure.
func (s *search) save(d *crashdisk.Disk, h *history) {
	f, err := os.CreateTemp("", "crash-*.gob")
	if err == nil {
		err = errors.Join(gob.NewEncoder(f).Encode(h), d.Save(f), f.Close())
	}
	if err != nil {
		s.t.Errorf("the failure could not be saved: %v", err)
		return
	}
	s.t.Logf("again: go test ./internal/crashtest -run '%s' -crash.seed %d -crash.replay %s", s.t.Name(), s.seed, f.Name())
}

func (s *search) load(name string) {
	f, err := os.Open(name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	s.h = &history{}
	if err = gob.NewDecoder(f).Decode(s.h); err == nil {
		s.d, err = crashdisk.Load(f)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
}

// TestDataThatMustBeElsewhereSurvivesTheLossOfTheCache loses the journal with
// the power.
func TestDataThatMustBeElsewhereSurvivesTheLossOfTheCache(t *testing.T) {
	s := newSearch(t)
	s.loseCache = true
	d, h := s.d, s.h
	if d == nil {
		var err error
		if d, h, err = run(kind{Busy: true, Remote: true, Safe: true}, busy, s.seed, *flagSteps); err != nil {
			t.Fatalf("workload with seed %d: %v", s.seed, err)
		}
	}
	s.everywhere(d, h)
}
