package crashdisk

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dittofs/dittofs/internal/disk"
)

// TestADiskBehavesLikeTheOperatingSystems does the same at random on both.
func TestADiskBehavesLikeTheOperatingSystems(t *testing.T) {
	for seed := range uint64(60) {
		dir := t.TempDir()
		ours, theirs := New(Options{}), disk.OS{}
		must(t, ours.Pebble().MkdirAll(dir, 0))
		a := &driver{fs: ours, rnd: rand.New(rand.NewPCG(seed, 0)), dir: dir}
		b := &driver{fs: theirs, rnd: rand.New(rand.NewPCG(seed, 0)), dir: dir}
		for i := range 300 {
			if got, want := a.step(), b.step(); got != want {
				t.Fatalf("seed %d, step %d: %.300s, the operating system: %.300s", seed, i, got, want)
			}
		}
		a.close()
		b.close()
	}
}

// driver does the operations that its source of randomness says.
type driver struct {
	fs   disk.FS
	rnd  *rand.Rand
	dir  string
	open []disk.File
}

func (d *driver) path() string {
	return filepath.Join(d.dir, []string{"a", "b", "c", "d", "d/x", "d/y", "a/no"}[d.rnd.IntN(7)])
}

func (d *driver) close() {
	for _, f := range d.open {
		_ = f.Close()
	}
}

func (d *driver) isDir(name string) bool {
	info, err := d.fs.Lstat(name)
	return err == nil && info.IsDir()
}

// errno is what must be the same of errors.
func errno(err error) string {
	var no syscall.Errno
	switch {
	case err == nil:
		return "done"
	case err == io.EOF:
		return "end"
	case errors.As(err, &no):
		return no.Error()
	}
	return err.Error()
}

func (d *driver) step() string {
	name := d.path()
	switch d.rnd.IntN(10) {
	case 0, 1:
		flags := []int{
			os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_CREATE | os.O_EXCL, os.O_RDWR |
				os.O_CREATE | os.O_TRUNC,
		}
		flag := flags[d.rnd.IntN(len(flags))]
		if flag == os.O_RDONLY && d.isDir(name) {
			return "no reads of directories"
		}
		f, err := d.fs.OpenFile(name, flag)
		if err == nil {
			d.open = append(d.open, f)
		}
		return fmt.Sprintf("open %s %x %s", name, flag, errno(err))
	case 2:
		err := d.fs.Remove(name)
		return fmt.Sprintf("remove %s %s", name, errno(err))
	case 3:
		return fmt.Sprintf("mkdir %s %s", name, errno(d.fs.Mkdir(name)))
	case 4:
		to := d.path()
		if d.isDir(to) || d.isDir(name) {
			return "no renames of or over directories"
		}
		if d.rnd.IntN(2) == 0 {
			return fmt.Sprintf("rename %s %s %s", name, to, errno(d.fs.Rename(name, to)))
		}
		return fmt.Sprintf("rename %s %s, not over it %s", name, to, errno(d.fs.RenameNoReplace(name, to)))
	case 5:
		entries, err := d.fs.ReadDir(d.dir)
		return fmt.Sprintf("list %v %s", entries, errno(err))
	}
	if len(d.open) == 0 {
		return "nothing is open"
	}
	return d.file(d.open[d.rnd.IntN(len(d.open))])
}

func (d *driver) file(f disk.File) string {
	off, n := d.rnd.Int64N(20_000), 1+d.rnd.IntN(9000)
	p := []byte(strings.Repeat(string(rune('a'+d.rnd.IntN(26))), n))
	var err error
	switch d.rnd.IntN(7) {
	case 0:
		n, err = f.WriteAt(p, off)
	case 1:
		n, err = f.WritevAt([]byte("head"), p, off)
	case 2:
		err = f.Truncate(off)
	case 3:
		err = f.Allocate(off, int64(n))
	case 4:
		err = f.PunchHole(off, int64(n))
	case 5:
		var size int64
		size, err = f.Size()
		return fmt.Sprintf("size %d %s", size, errno(err))
	default:
		n, err = f.ReadAt(p, off)
		return fmt.Sprintf("read %q %s", p[:n], errno(err))
	}
	return fmt.Sprintf("%d %s", n, errno(err))
}
