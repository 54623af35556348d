package vfs_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/vfs"
	"github.com/dittofs/dittofs/internal/vfs/vfstest"
	"github.com/dittofs/dittofs/pkg/config"
)

const (
	killedDir     = "VFS_TEST_KILLED_DIR" // set in the process that is killed
	killedWorkers = 6
	killedBlocks  = 40
	killedBlock   = 3000
)

var (
	killedStores = stores{metadata: config.MetadataPebble, content: config.ContentFilesystem, busy: true}
	asRoot       = &vfs.Request{Context: context.Background()}
)

// TestNothingAcknowledgedIsLostByKill writes in another process, over stores
// whose segments are sealed, handed off and deleted all the time, kills it and
// looks for everything that it had acknowledged.
func TestNothingAcknowledgedIsLostByKill(t *testing.T) {
	h := home{stores: killedStores, dir: t.TempDir(), instance: "00112233445566778899aabbccddeeff"}
	acked := acknowledged{blocks: map[[2]int]uint64{}, names: map[string]byte{}}
	for round := range 4 {
		acked.readUntilKilled(t, h.dir, time.Duration(100+rand.IntN(500))*time.Millisecond)
		i := h.open(t)
		top := mainTop(t, i)
		for f := range killedWorkers {
			acked.checkFile(t, i.FS, top, f)
		}
		for name, what := range acked.names {
			checkName(t, i.FS, top, name, what)
		}
		vfstest.CheckConsistent(t, i.Meta)
		i.Close()
		if t.Failed() {
			t.Fatalf("round %d: after %d blocks and %d names", round, len(acked.blocks), len(acked.names))
		}
	}
	t.Logf("%d blocks and %d names were acknowledged", len(acked.blocks), len(acked.names))
	if len(acked.blocks) < killedWorkers || len(acked.names) < killedWorkers {
		t.Fatalf("only %d blocks and %d names were acknowledged: the test shows nothing", len(acked.blocks), len(acked.names))
	}
}

func mainTop(t *testing.T, i vfstest.Instance) vfs.ID {
	t.Helper()
	ids, err := i.Shares([]vfs.ShareSpec{{Name: "main", Mode: 0o755}})
	if err != nil {
		t.Fatal(err)
	}
	top, err := i.FS.Root(ids["main"])
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// acknowledged is what the killed processes said was done.
type acknowledged struct {
	blocks map[[2]int]uint64 // file and block -> value
	names  map[string]byte   // what was done last to it
}

func (a *acknowledged) readUntilKilled(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProcessThatIsKilled$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	cmd.ExtraFiles = []*os.File{w}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := bufio.NewScanner(r)
	var once sync.Once
	for lines.Scan() {
		once.Do(func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) })
		var f, b int
		var v uint64
		var name string
		var what byte
		if n, _ := fmt.Sscanf(lines.Text(), "block %d %d %d", &f, &b, &v); n == 3 {
			a.blocks[[2]int{f, b}] = max(v, a.blocks[[2]int{f, b}])
		} else if n, _ := fmt.Sscanf(lines.Text(), "name %s %c", &name, &what); n == 2 {
			a.names[name] = what
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the process ended by itself: %v\n%s", err, out.String())
	}
}

func (a *acknowledged) checkFile(t *testing.T, fs vfs.FileSystem, top vfs.ID, f int) {
	t.Helper()
	attr, _, err := fs.Lookup(asRoot, top, fmt.Sprint("file", f))
	for b := range killedBlocks {
		least, written := a.blocks[[2]int{f, b}]
		if !written {
			continue
		}
		if err != nil {
			t.Fatalf("lookup of file %d: %v", f, err)
		}
		buf, _, _, err := fs.Read(asRoot, attr.ID, uint64(b*killedBlock), killedBlock, false)
		if err != nil || buf == nil {
			t.Errorf("read of file %d block %d: %v", f, b, err)
			continue
		}
		p := buf.Bytes()
		if v := binary.BigEndian.Uint64(p); !bytes.Equal(p, killedData(f, b, v)) || v < least {
			t.Errorf("file %d block %d holds value %d (%d bytes), value %d was acknowledged", f, b, v, len(p), least)
		}
		buf.Release()
	}
}

// checkName checks a name after its last acknowledged step: made as NAME,
// renamed to NAME.done, removed. The next step may have happened too.
func checkName(t *testing.T, fs vfs.FileSystem, top vfs.ID, name string, what byte) {
	t.Helper()
	_, _, err := fs.Lookup(asRoot, top, name)
	_, _, doneErr := fs.Lookup(asRoot, top, name+".done")
	made, done := err == nil, doneErr == nil
	switch {
	case what == 'm' && made == done,
		what == 'r' && made,
		what == 'x' && (made || done):
		t.Errorf("%q after step %q: the first name is there: %v, the second: %v", name, what, made, done)
	}
}

func killedData(f, b int, v uint64) []byte {
	p := binary.BigEndian.AppendUint64(nil, v)
	p = binary.BigEndian.AppendUint64(p, uint64(f*1000+b))
	return bytes.Repeat(p, killedBlock/len(p)+1)[:killedBlock]
}

// TestProcessThatIsKilled is the other process.
func TestProcessThatIsKilled(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("runs only in the process that is to be killed")
	}
	i := home{stores: killedStores, dir: dir, instance: "00112233445566778899aabbccddeeff"}.open(t)
	top := mainTop(t, i)
	acks := os.NewFile(3, "acks")
	var wg sync.WaitGroup
	for w := range killedWorkers {
		wg.Go(func() { killedWriter(t, i.FS, top, w, acks) })
		wg.Go(func() { killedNames(t, i.FS, top, w, acks) })
	}
	wg.Wait()
}

func killedWriter(t *testing.T, fs vfs.FileSystem, top vfs.ID, f int, acks *os.File) {
	a, _, err := fs.Create(asRoot, top, fmt.Sprint("file", f), vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
	if err != nil {
		t.Error(err)
		return
	}
	for {
		// Values grow from one process to the next.
		v := uint64(time.Now().UnixNano())
		unstable := map[int]uint64{}
		for range rand.IntN(8) {
			b := rand.IntN(killedBlocks)
			v++
			if _, _, err := fs.Write(asRoot, a.ID, uint64(b*killedBlock), killedData(f, b, v), vfs.Unstable); err != nil {
				t.Error(err)
				return
			}
			unstable[b] = v
		}
		if len(unstable) > 0 && rand.IntN(2) == 0 {
			_, err = fs.Commit(asRoot, a.ID, 0, 0)
		} else {
			unstable = map[int]uint64{rand.IntN(killedBlocks): v + 1}
			for b, v := range unstable {
				_, _, err = fs.Write(asRoot, a.ID, uint64(b*killedBlock), killedData(f, b, v), vfs.FileSync)
			}
		}
		if err != nil {
			t.Error(err)
			return
		}
		for b, v := range unstable {
			fmt.Fprintf(acks, "block %d %d %d\n", f, b, v)
		}
	}
}

func killedNames(t *testing.T, fs vfs.FileSystem, top vfs.ID, w int, acks *os.File) {
	for {
		name := fmt.Sprintf("n%d-%d", w, time.Now().UnixNano())
		if _, _, err := fs.Create(asRoot, top, name, vfs.CreateGuarded, vfs.SetAttr{}, vfs.Verifier{}); err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(acks, "name %s m\n", name)
		if _, _, err := fs.Rename(asRoot, top, name, top, name+".done"); err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(acks, "name %s r\n", name)
		if rand.IntN(2) == 0 {
			continue
		}
		if _, err := fs.Remove(asRoot, top, name+".done"); err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(acks, "name %s x\n", name)
	}
}
