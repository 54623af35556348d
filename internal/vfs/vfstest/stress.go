package vfstest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs"
)

// effort multiplies the length of random histories: VFSTEST_EFFORT, default 1.
func effort() int {
	if n, err := strconv.Atoi(os.Getenv("VFSTEST_EFFORT")); err == nil && n > 0 {
		return n
	}
	return 1
}

const stressBlock = 512

// RunStress lets many workers do random operations in few directories at
// once, then stops them and checks that everything fits together: the whole
// metadata, the usage counters, and that every block read belongs to its file
// and offset. Where the stores remember it does so again after a restart.
func RunStress(t *testing.T, open Open) {
	e := newEnv(t, open)
	top := e.limited(1<<40, 1<<30)
	s := &stress{env: e, dirs: []vfs.ID{top}}
	for i := range 3 {
		s.dirs = append(s.dirs, e.mkdir(super, s.dirs[i/2], fmt.Sprint("d", i), 0o755))
	}
	for round := range 2 {
		s.run(uint64(round), 8, 250*effort())
		if t.Failed() {
			return
		}
		before := s.check(top)
		if e.Restart != nil {
			e.restart()
			e.limited(1<<40, 1<<30)
			sameTree(t, before, s.check(top))
		}
	}
}

type stress struct {
	*env
	dirs []vfs.ID

	mu    sync.Mutex
	files []vfs.ID // made lately; some are removed by now
}

func (s *stress) run(seed uint64, workers, steps int) {
	seed += rand.Uint64()
	s.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			for range steps {
				s.step(rnd)
			}
		})
	}
	wg.Wait()
}

// step does one operation. It may be refused, but only for a reason that
// another worker can have caused.
func (s *stress) step(rnd *rand.Rand) {
	dir, other := s.dirs[rnd.IntN(len(s.dirs))], s.dirs[rnd.IntN(len(s.dirs))]
	name, newName := fmt.Sprint("n", rnd.IntN(12)), fmt.Sprint("n", rnd.IntN(12))
	var err error
	switch op := rnd.IntN(100); {
	case op < 15:
		var a vfs.Attr
		if a, _, err = s.FS.Create(super, dir, name, vfs.CreateMode(rnd.IntN(3)), vfs.SetAttr{},
			vfs.Verifier{byte(op)}); err == nil {
			s.made(a.ID, rnd)
		}
	case op < 20:
		_, _, err = s.FS.Mkdir(super, dir, name, mode(0o755))
	case op < 22:
		_, _, err = s.FS.Symlink(super, dir, name, "target", vfs.SetAttr{})
	case op < 24:
		_, _, err = s.FS.Mknod(super, dir, name, vfs.TypeFIFO, vfs.Device{}, mode(0o600))
	case op < 30:
		_, err = s.FS.Remove(super, dir, name)
	case op < 34:
		_, err = s.FS.Rmdir(super, dir, name)
	case op < 44:
		_, _, err = s.FS.Rename(super, dir, name, other, newName)
	case op < 47: // the directories themselves move, too
		_, _, err = s.FS.Rename(super, dir, fmt.Sprint("d", rnd.IntN(3)), other, fmt.Sprint("d", rnd.IntN(3)))
	case op < 52:
		_, _, err = s.FS.Link(super, s.file(rnd), dir, name)
	case op < 55:
		_, _, err = s.FS.ReadDir(super, dir, vfs.Position{}, rnd.IntN(2) == 0,
			func(vfs.DirEntry) bool { return rnd.IntN(20) > 0 })
	case op < 60:
		_, _, err = s.FS.Lookup(super, dir, name)
	case op < 64:
		_, err = s.FS.SetAttr(super, s.file(rnd), vfs.SetAttr{Size: ptr(rnd.Uint64N(64) * stressBlock)}, nil)
	case op < 67:
		_, err = s.FS.SetAttr(super, s.file(rnd), mode(rnd.Uint32N(0o7777)), nil)
	case op < 68:
		err = s.holdOne(rnd, dir, name)
	case op < 71:
		_, err = s.FS.Commit(super, s.file(rnd), 0, 0)
	case op < 88:
		err = s.writeBlocks(rnd, s.file(rnd))
	default:
		err = s.readBlocks(rnd, s.file(rnd))
	}
	var errno vfs.Errno
	if err == nil || errors.As(err, &errno) {
		switch errno {
		case 0, vfs.ENOENT, vfs.EEXIST, vfs.ENOTDIR, vfs.EISDIR, vfs.EINVAL, vfs.ENOTEMPTY, vfs.ESTALE:
			return
		}
	}
	s.Errorf("an operation failed: %v", err)
}

func (s *stress) made(id vfs.ID, rnd *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) < 20 {
		s.files = append(s.files, id)
	} else {
		s.files[rnd.IntN(len(s.files))] = id
	}
}

func (s *stress) file(rnd *rand.Rand) vfs.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) == 0 {
		return s.dirs[0]
	}
	return s.files[rnd.IntN(len(s.files))]
}

// holdOne holds a file while its name, or another, is removed.
func (s *stress) holdOne(rnd *rand.Rand, dir vfs.ID, name string) error {
	id := s.file(rnd)
	release, err := s.FS.Hold(super.Context, id)
	if err != nil {
		return err
	}
	defer release()
	_, _ = s.FS.Remove(super, dir, name)
	if err := s.writeBlocks(rnd, id); err != nil {
		s.Errorf("write to a file that is held: %v", err)
	}
	if err := s.readBlocks(rnd, id); err != nil {
		s.Errorf("read of a file that is held: %v", err)
	}
	return nil
}

// writeBlocks writes blocks that say where they belong.
func (s *stress) writeBlocks(rnd *rand.Rand, id vfs.ID) error {
	first, n := rnd.Uint64N(60), 1+rnd.Uint64N(4)
	var p []byte
	for b := first; b < first+n; b++ {
		p = append(p, stressData(id, b)...)
	}
	_, _, err := s.FS.Write(super, id, first*stressBlock, p, vfs.Stability(rnd.IntN(3)))
	return err
}

func stressData(id vfs.ID, block uint64) []byte {
	p := binary.BigEndian.AppendUint64(be64(id.Inode), block+1)
	return bytes.Repeat(p, stressBlock/len(p))
}

func (s *stress) readBlocks(rnd *rand.Rand, id vfs.ID) error {
	first := rnd.Uint64N(60)
	p, _, err := s.tryRead(super, id, first*stressBlock, 4*stressBlock)
	if err == nil {
		s.checkBlocks(id, first, p)
	}
	return err
}

func (s *stress) checkBlocks(id vfs.ID, first uint64, p []byte) {
	hole := make([]byte, stressBlock)
	for b := first; len(p) >= stressBlock; b, p = b+1, p[stressBlock:] {
		if got := p[:stressBlock]; !bytes.Equal(got, hole) && !bytes.Equal(got, stressData(id, b)) {
			s.Errorf("inode %d holds foreign bytes in block %d: %x", id.Inode, b, got[:16])
		}
	}
	if len(p) != 0 {
		s.Errorf("inode %d ends in the middle of a block", id.Inode)
	}
}

// found is an inode with its contents and where it leads, as names of bytes.
type found struct {
	attr     vfs.Attr
	contents [sha256.Size]byte
	entries  string
}

// sameTree checks that nothing changed between two checks: a block that went
// back to a hole, which checkBlocks takes for one, is found here.
func sameTree(t *testing.T, before, after map[vfs.ID]found) {
	t.Helper()
	for id, was := range before {
		if is := after[id]; is != was {
			t.Errorf("the restart made of %+v\n%+v", was, is)
		}
	}
	if len(after) != len(before) {
		t.Errorf("the restart made %d inodes of %d", len(after), len(before))
	}
}

// check compares what the filesystem shows with what it stores and counts, and
// returns what there is.
func (s *stress) check(top vfs.ID) map[vfs.ID]found {
	s.Helper()
	s.reclaimed(0)
	var bytes, inodes uint64
	seen := map[vfs.ID]found{}
	s.walk(top, func(a vfs.Attr) {
		if _, again := seen[a.ID]; again {
			return
		}
		inodes++
		is := found{attr: a}
		switch a.Type {
		case vfs.TypeRegular:
			bytes += a.Used
			s.commit(a.ID)
			all := s.contents(a.ID)
			s.checkBlocks(a.ID, 0, all)
			is.contents = sha256.Sum256(all)
		case vfs.TypeDirectory:
			entries, _ := s.list(a.ID, 0, 0)
			for _, d := range entries {
				is.entries += fmt.Sprintf("%q is %d at %d\n", d.Name, d.ID.Inode, d.Cookie)
			}
		}
		seen[a.ID] = is
	})
	if bytes == 0 {
		s.Error("no file holds anything: nothing was compared")
	}
	st := s.statfs(top)
	if st.TotalBytes-st.FreeBytes != bytes || st.TotalInodes-st.FreeInodes != inodes {
		s.Errorf("%d bytes in %d inodes are in the tree, %d and %d are counted",
			bytes, inodes, st.TotalBytes-st.FreeBytes, st.TotalInodes-st.FreeInodes)
	}
	CheckConsistent(s, s.Meta)
	return seen
}
