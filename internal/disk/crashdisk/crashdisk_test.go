package crashdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/disk"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, d *Disk, name, content string) disk.File {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	must(t, err)
	if content != "" {
		write(t, f, content, 0)
	}
	return f
}

func write(t *testing.T, f disk.File, content string, off int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(content), off)
	must(t, err)
}

// read returns the content of a file, "absent" if there is none.
func read(t *testing.T, d *Disk, name string) string {
	t.Helper()
	p, err := disk.ReadFile(d, name, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	must(t, err)
	return string(p)
}

func end(d *Disk) *Replay {
	r := d.Replay()
	for r.Step() {
	}
	return r
}

// outcomes counts what many power cuts at the end of the log leave, as look
// sees it.
func outcomes(t *testing.T, d *Disk, look func(d *Disk) string) map[string]int {
	t.Helper()
	found := map[string]int{}
	r := end(d)
	for seed := range uint64(1000) {
		found[look(r.PowerCut(seed))]++
	}
	return found
}

func expect(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if got[w] == 0 {
			t.Errorf("no power cut leaves %.80q", w)
		}
		delete(got, w)
	}
	for g, n := range got {
		t.Errorf("%d power cuts leave %.80q", n, g)
	}
}

func TestSyncedBytesSurviveAndOthersMayNot(t *testing.T) {
	d := New(Options{})
	f := create(t, d, "/f", "durable")
	must(t, errors.Join(f.Sync(), d.SyncDir("/")))
	content := func(d *Disk) string { return read(t, d, "/f") }
	expect(t, outcomes(t, d, content), "durable")
	write(t, f, "DURA", 0)
	write(t, f, "BLE", 4)
	expect(t, outcomes(t, d, content), "durable", "DURAble", "duraBLE", "DURABLE")
	must(t, f.Datasync())
	expect(t, outcomes(t, d, content), "DURABLE")
	if got := content(end(d).Kill()); got != "DURABLE" {
		t.Errorf("a kill leaves %q", got)
	}
}

func TestAFileGrowsWithItsBytesWithoutThemOrNot(t *testing.T) {
	d := New(Options{})
	f := create(t, d, "/f", "")
	must(t, d.SyncDir("/"))
	a, b := strings.Repeat("a", sectorSize), strings.Repeat("b", 10)
	write(t, f, a+b, 0)
	no := strings.Repeat("\x00", sectorSize)
	expect(t, outcomes(t, d, func(d *Disk) string { return read(t, d, "/f") }),
		"", a+b, a, no+b, a+no[:10], no+no[:10])
}

func TestNewNamesNeedASyncOfTheirDirectory(t *testing.T) {
	d := New(Options{})
	must(t, d.Pebble().MkdirAll("/a/b", 0))
	must(t, create(t, d, "/a/b/f", "x").Sync())
	must(t, d.SyncDir("/a/b"))
	look := func(d *Disk) string { return read(t, d, "/a/b/f") }
	expect(t, outcomes(t, d, look), "absent", "x")
	must(t, d.SyncDir("/a"))
	expect(t, outcomes(t, d, look), "absent", "x")
	must(t, d.SyncDir("/"))
	expect(t, outcomes(t, d, look), "x")
	must(t, d.Remove("/a/b/f"))
	expect(t, outcomes(t, d, look), "absent", "x")
	must(t, d.SyncDir("/a/b"))
	expect(t, outcomes(t, d, look), "absent")
}

func TestARenameIsKeptOrLostAsAWhole(t *testing.T) {
	d := New(Options{})
	must(t, errors.Join(d.Mkdir("/a"), d.Mkdir("/b"), d.SyncDir("/")))
	must(t, create(t, d, "/a/f", "new").Sync())
	must(t, create(t, d, "/b/f", "old").Sync())
	must(t, errors.Join(d.SyncDir("/a"), d.SyncDir("/b")))
	must(t, d.Rename("/a/f", "/b/f"))
	look := func(d *Disk) string { return read(t, d, "/a/f") + " " + read(t, d, "/b/f") }
	expect(t, outcomes(t, d, look), "new old", "absent new")
	must(t, d.SyncDir("/a"))
	expect(t, outcomes(t, d, look), "absent new")
}

func TestEachNameSeesItsChangesInOrder(t *testing.T) {
	d := New(Options{})
	for i := range 3 {
		must(t, create(t, d, "/temp", fmt.Sprint(i)).Sync())
		must(t, d.Rename("/temp", "/f"))
	}
	must(t, create(t, d, "/other", "x").Sync())
	found := outcomes(t, d, func(d *Disk) string {
		return read(t, d, "/temp") + " " + read(t, d, "/f") + " " + read(t, d, "/other")
	})
	expect(t, found,
		"absent absent absent", "0 absent absent", "absent 0 absent", "1 0 absent", "absent 1 absent", "2 1 absent",
		"absent 2 absent",
		"absent absent x", "0 absent x", "absent 0 x", "1 0 x", "absent 1 x", "2 1 x", "absent 2 x")
}

func TestASyncCoversWhatWasDirtyWhenItBegan(t *testing.T) {
	d := New(Options{})
	f := create(t, d, "/f", "1")
	must(t, d.SyncDir("/"))
	o := &op{Op: Op{Kind: Sync, Path: "/f"}, node: f.(*file).node, begin: d.seq + 1}
	write(t, f, "2", 0)
	must(t, d.do(o, 0))
	expect(t, outcomes(t, d, func(d *Disk) string { return read(t, d, "/f") }), "1", "2")
}

func TestAFailedSyncIsNotMadeGoodByTheNext(t *testing.T) {
	fail := true
	d := New(Options{Fail: func(o Op) error {
		if o.Kind == Sync && fail {
			return unix.EIO
		}
		return nil
	}})
	f := create(t, d, "/f", "")
	must(t, d.SyncDir("/"))
	for i := range 4 {
		write(t, f, "x", int64(i))
	}
	if err := f.Sync(); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	fail = false
	must(t, f.Sync())
	write(t, f, "y", 0)
	must(t, f.Sync())
	if got := read(t, d, "/f"); got != "yxxx" {
		t.Errorf("before the crash: %q", got)
	}
	for got := range outcomes(t, d, func(d *Disk) string { return read(t, d, "/f") }) {
		if got[0] != 'y' || strings.Count(got, "x") > 2 {
			t.Errorf("left: %q", got)
		}
	}
}

func TestWhatAKilledProcessDidNotSyncIsStillAtRisk(t *testing.T) {
	d := New(Options{})
	f := create(t, d, "/f", "old")
	must(t, errors.Join(f.Sync(), d.SyncDir("/")))
	write(t, f, "new", 0)
	killed := end(d).Kill()
	if got := read(t, killed, "/f"); got != "new" {
		t.Fatalf("after the kill: %q", got)
	}
	content := func(d *Disk) string { return read(t, d, "/f") }
	expect(t, outcomes(t, killed, content), "old", "new")
	f, err := killed.OpenFile("/f", os.O_RDWR)
	must(t, err)
	must(t, f.Sync())
	expect(t, outcomes(t, killed, content), "new")
}

func TestReplayGivesTheDiskOfEveryMoment(t *testing.T) {
	d := New(Options{})
	f := create(t, d, "/f", "")
	must(t, d.SyncDir("/"))
	for i := range 50 {
		write(t, f, fmt.Sprint(i%10), int64(i))
		must(t, f.Sync())
	}
	r, want := d.Replay(), ""
	for r.Step() {
		if r.Last().Kind == Write {
			want += string('0' + byte(len(want)%10))
		}
		if r.Pos() < 2 {
			continue
		}
		// A kill loses nothing, and a power cut at most what was not synced: the
		// last byte, of which the size may be left.
		left := []string{want}
		if r.Last().Kind == Write {
			short := want[:len(want)-1]
			left = append(left, short, short+"\x00")
		}
		for i, clone := range []*Disk{r.Kill(), r.PowerCut(uint64(r.Pos()))} {
			got := read(t, clone, "/f")
			if i == 0 && got != want || !slices.Contains(left, got) || clone.Len() != 0 {
				t.Fatalf("after %v: %q, want %q", r.Last(), got, want)
			}
			write(t, create(t, clone, "/g", ""), "clones do not meet", 0)
		}
	}
	if len(want) != 50 {
		t.Errorf("saw %d writes", len(want))
	}
}

func TestTheSameSeedCutsTheSame(t *testing.T) {
	d := New(Options{})
	for i := range 20 {
		f := create(t, d, fmt.Sprint("/f", i), strings.Repeat("x", 3000))
		if i%2 == 0 {
			must(t, f.Sync())
		}
	}
	different := map[string]bool{}
	for seed := range uint64(50) {
		a, b := contents(t, end(d).PowerCut(seed)), contents(t, end(d).PowerCut(seed))
		if a != b {
			t.Fatalf("seed %d: %.300q and %.300q", seed, a, b)
		}
		different[a] = true
	}
	if len(different) < 25 {
		t.Errorf("50 seeds cut in %d ways only", len(different))
	}
}

// contents is all files of a disk with what they hold.
func contents(t *testing.T, d *Disk) string {
	t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.Files())) {
		fmt.Fprintf(&b, "%s: %q\n", name, read(t, d, name))
	}
	return b.String()
}

func TestAFullDiskRefusesAndKeepsWhatItHas(t *testing.T) {
	d := New(Options{Capacity: 10 * pageSize})
	f := create(t, d, "/f", strings.Repeat("x", 3*pageSize))
	must(t, f.Allocate(0, 6*pageSize))
	g := create(t, d, "/g", "")
	if err := g.Allocate(0, 5*pageSize); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("allocate: %v", err)
	}
	write(t, g, strings.Repeat("y", 4*pageSize), 0)
	if n, err := g.WriteAt([]byte("z"), 4*pageSize); n != 0 || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write: %d, %v", n, err)
	}
	write(t, f, "reserved", 5*pageSize)
	must(t, d.Remove("/g"))
	if _, free, _ := d.Statfs("/"); free != 0 {
		t.Errorf("%d bytes free while the removed file is open", free)
	}
	must(t, g.Close())
	if _, free, _ := d.Statfs("/"); free != 4*pageSize {
		t.Errorf("%d bytes free", free)
	}
	must(t, f.PunchHole(0, 2*pageSize))
	if n, err := f.Allocated(); n != 4*pageSize || err != nil {
		t.Errorf("%d bytes allocated, %v", n, err)
	}
	if start, stop, err := f.NextData(0); start != 2*pageSize || stop != 3*pageSize || err != nil {
		t.Errorf("data from %d to %d, %v", start, stop, err)
	}
}

func TestClosedAndReadOnlyFilesAreRefused(t *testing.T) {
	d := New(Options{})
	f := create(t, d, "/f", "x")
	must(t, f.Close())
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("read of a closed file: %v", err)
	}
	f, err := d.OpenFile("/f", os.O_RDONLY)
	must(t, err)
	if _, err := f.WriteAt([]byte("y"), 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("write to a file opened for reading: %v", err)
	}
	lock, err := d.Lock("/lock")
	must(t, err)
	if _, err := d.Lock("/lock"); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("second lock: %v", err)
	}
	must(t, lock.Close())
	_, err = d.Lock("/lock")
	must(t, err)
}

func TestEditDamagesAFile(t *testing.T) {
	d := New(Options{})
	must(t, create(t, d, "/f", "content").Sync())
	must(t, d.SyncDir("/"))
	c := end(d).PowerCut(1)
	must(t, c.Edit("/f", func(p []byte) []byte {
		p[0] ^= 1
		return p[:4]
	}))
	for _, d := range []*Disk{c, end(c).PowerCut(1), end(c).Kill()} {
		if got := read(t, d, "/f"); got != "bont" {
			t.Errorf("left: %q", got)
		}
	}
	f, err := c.OpenFile("/f", os.O_RDWR)
	must(t, err)
	write(t, f, "x", 0)
	if err := c.Edit("/f", bytes.Clone); err == nil {
		t.Error("a disk in use was edited")
	}
}

func TestPebbleReadsAndWritesInSequence(t *testing.T) {
	p := New(Options{}).Pebble()
	must(t, p.MkdirAll("/db", 0o700))
	f, err := p.Create("/db/a", "")
	must(t, err)
	for _, part := range []string{"one ", "two"} {
		_, err := f.Write([]byte(part))
		must(t, err)
	}
	must(t, errors.Join(f.Sync(), f.Close()))
	must(t, p.Link("/db/a", "/db/b"))
	f, err = p.Create("/db/a", "") // a new file: the other name keeps the old one
	must(t, err)
	must(t, f.Close())
	f, err = p.Open("/db/b")
	must(t, err)
	got, err := io.ReadAll(f)
	if string(got) != "one two" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	g, err := p.ReuseForWrite("/db/b", "/db/c", "")
	must(t, err)
	_, err = g.Write([]byte("ONE"))
	must(t, err)
	if names, err := p.List("/db"); fmt.Sprint(names) != "[a c]" || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	if info, err := p.Stat("/db/c"); err != nil || info.Size() != 7 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestASavedDiskIsCutLikeTheOriginal(t *testing.T) {
	d := New(Options{})
	must(t, d.Mkdir("/d"))
	for i := range 10 {
		f := create(t, d, fmt.Sprint("/d/f", i), strings.Repeat(fmt.Sprint(i), 2000))
		must(t, f.Truncate(1900))
		if i%2 == 0 {
			must(t, errors.Join(f.Sync(), d.SyncDir("/d")))
		}
	}
	var saved bytes.Buffer
	must(t, d.Save(&saved))
	again, err := Load(&saved)
	must(t, err)
	different := map[string]bool{}
	for seed := range uint64(20) {
		a, b := contents(t, end(d).PowerCut(seed)), contents(t, end(again).PowerCut(seed))
		if a != b {
			t.Fatalf("seed %d: %.300q and %.300q", seed, a, b)
		}
		different[a] = true
	}
	if len(different) < 5 {
		t.Errorf("20 seeds cut in %d ways only", len(different))
	}
}
