package vfstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs"
)

var durabilityTests = []behaviour{
	{"TheVerifierStaysWithinARunAndChangesWithIt", func(e *env) {
		v := e.FS.WriteVerifier()
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, "data", vfs.Unstable)
		e.commit(f)
		if e.FS.WriteVerifier() != v {
			e.Fatal("the verifier changed within a run")
		}
		if v == (vfs.Verifier{}) {
			e.Fatal("the verifier is zero")
		}
		seen := map[vfs.Verifier]bool{v: true}
		for i := range 4 {
			if i%2 == 0 {
				e.restart()
			} else {
				e.crash()
			}
			if v = e.FS.WriteVerifier(); seen[v] {
				e.Fatal("a verifier came back")
			}
			seen[v] = true
		}
	}},
	{"StableWritesSurviveACrash", func(e *env) {
		for _, how := range []vfs.Stability{vfs.DataSync, vfs.FileSync} {
			f := e.create(super, e.top, fmt.Sprint("f", how), 0o644)
			e.write(f, 5, "stable", how)
			before := e.attr(f)
			e.crash()
			e.holds(f, "\x00\x00\x00\x00\x00stable")
			if a := e.attr(f); a != before {
				e.Fatalf("the file went from %+v to %+v", before, a)
			}
		}
	}},
	{"CommittedWritesSurviveACrash", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		for i := range 50 {
			e.write(f, uint64(i*1000), strings.Repeat(string(rune('a'+i%26)), 1000), vfs.Unstable)
		}
		e.commit(f)
		want, before := e.contents(f), e.attr(f)
		e.crash()
		e.holds(f, string(want))
		if a := e.attr(f); a != before {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
	}},
	{"AStableWriteTakesTheUnstableOnesWithItOrNot", func(e *env) {
		// A COMMIT of a part, and a stable write, keep at least their own range.
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, strings.Repeat("a", 4096), vfs.Unstable)
		e.write(f, 8192, strings.Repeat("b", 4096), vfs.Unstable)
		_, err := e.FS.Commit(super, f, 8192, 4096)
		e.ok(err, "commit of a range")
		e.write(f, 100_000, "c", vfs.FileSync)
		e.crash()
		got := e.contents(f)
		if len(got) != 100_001 || string(got[8192:12288]) != strings.Repeat("b", 4096) || got[100_000] != 'c' {
			e.Fatalf("a file of %d bytes without what was acknowledged", len(got))
		}
	}},
	{"AnUnstableOverwriteDoesNotTakeAStableWriteWithIt", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, strings.Repeat("s", 10_000), vfs.FileSync)
		e.write(f, 2000, strings.Repeat("u", 3000), vfs.Unstable)
		e.crash()
		got := string(e.contents(f))
		stable := strings.Repeat("s", 10_000)
		if got != stable && got != stable[:2000]+strings.Repeat("u", 3000)+stable[5000:] {
			e.Fatal("neither the stable nor the unstable bytes are there")
		}
	}},
	{"AStableWriteSurvivesThoughAnotherOverwritesItMeanwhile", overwrittenMeanwhile},
	{"AnExtentForEachByteIsReadAndWrittenInSteps", func(e *env) { extentForEachByte(e, 8<<10) }},
	{"ACrashLeavesNoSizeWithoutItsBytes", sizeWithoutBytes},
	{"ChangesOfAttributesSurviveACrash", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		how := vfs.Unstable // the truncation makes it durable
		if e.Remote {
			how = vfs.FileSync
		}
		e.write(f, 0, strings.Repeat("x", 5000), how)
		set := vfs.SetAttr{
			Mode: ptr(uint32(0o600)), UID: ptr(uint32(5)), Mtime: &vfs.TimeSet{Time: vfs.Time{Sec: 3, Nsec: 4}},
		}
		e.setattr(super, f, set)
		e.truncate(f, 3000)
		g := e.create(super, e.top, "g", 0o644)
		e.truncate(g, 1<<50)
		before, hole := e.attr(f), e.attr(g)
		e.crash()
		if a := e.attr(f); a != before {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
		if a := e.attr(g); a != hole {
			e.Fatalf("the file went from %+v to %+v", hole, a)
		}
		e.holds(f, strings.Repeat("x", 3000))
	}},
	{"ChangesOfNamesSurviveACrash", namesAfterCrash},
	{"UsageIsExactAfterACrash", func(e *env) {
		top := e.limited(100_000, 10)
		f := e.create(super, top, "f", 0o644)
		e.write(f, 0, strings.Repeat("s", 10_000), vfs.FileSync)
		e.write(f, 5_000, strings.Repeat("u", 20_000), vfs.Unstable)
		g := e.create(super, top, "g", 0o644)
		e.write(g, 0, strings.Repeat("u", 7_000), vfs.Unstable)
		h := e.create(super, top, "h", 0o644)
		e.write(h, 0, strings.Repeat("u", 7_000), vfs.Unstable)
		e.remove(top, "h")
		e.crash()
		e.limited(100_000, 10)
		used := e.attr(f).Used + e.attr(g).Used
		if st := e.statfs(top); st.FreeBytes != 100_000-used || st.FreeInodes != 7 {
			e.Fatalf("files use %d bytes, statfs says %+v", used, st)
		}
	}},
	{"RepeatedCrashesLoseNothing", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		var want []byte
		for i := range 6 {
			p := bytes.Repeat([]byte{byte('a' + i)}, 3000)
			e.write(f, uint64(len(want)), string(p), vfs.FileSync)
			want = append(want, p...)
			e.write(f, uint64(len(want)), "unstable", vfs.Unstable)
			e.crash()
			if got := e.contents(f); !bytes.HasPrefix(got, want) {
				e.Fatalf("crash %d lost stable bytes", i)
			}
			e.truncate(f, uint64(len(want)))
		}
		e.restart()
		e.holds(f, string(want))
	}},
	{"ARestartKeepsUnstableWrites", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, strings.Repeat("x", 100_000), vfs.Unstable)
		before := e.attr(f)
		e.restart()
		e.holds(f, strings.Repeat("x", 100_000))
		if a := e.attr(f); a != before {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
	}},
	{"ReclaimingGoesOnAfterACrash", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		for i := range 3000 {
			e.write(f, uint64(i)*8192, "x", vfs.Unstable)
		}
		e.commit(f)
		e.hasExtents(f.Inode)
		e.remove(e.top, "f")
		e.crash()
		e.noExtents(f.Inode)
		_, err := e.FS.GetAttr(super, f)
		e.want(err, vfs.ESTALE, "getattr of the removed file")
	}},
}

// overwrittenMeanwhile writes one block stably while another writer goes over
// it without commits. When the stable write is acknowledged and the server
// dies, its bytes are there, or later ones; never what was there before.
func overwrittenMeanwhile(e *env) {
	for round := range 5 {
		f := e.create(super, e.top, fmt.Sprint("f", round), 0o644)
		var written atomic.Int64 // the last value of the other writer
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for v := int64(1); ; v++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := e.FS.Write(super, f, 0, block(0, v), vfs.Unstable); err != nil {
					e.Errorf("write: %v", err)
					return
				}
				written.Store(v)
			}
		})
		var before int64
		const last = 10
		for v := range int64(last) {
			// The other one is between any two: else nothing is overwritten.
			for deadline := time.Now().Add(20 * time.Second); written.Load() <= before; time.Sleep(10 * time.Microsecond) {
				if time.Now().After(deadline) {
					close(stop)
					e.Fatalf("round %d: the other writer stands still at value %d", round, before)
				}
			}
			before = written.Load()
			e.write(f, 0, string(block(1, v+1)), vfs.FileSync)
		}
		close(stop)
		wg.Wait()
		e.crash()
		got := e.contents(f)
		if len(got) != len(block(0, 0)) {
			e.Fatalf("round %d: the file has %d bytes", round, len(got))
		}
		who, v := int64(got[0]), int64(binary.BigEndian.Uint64(got[1:]))
		if !bytes.Equal(got, block(byte(who), v)) {
			e.Fatalf("round %d: the block is a mixture", round)
		}
		if who == 1 && v != last || who == 0 && v <= before {
			e.Fatalf("round %d: the block holds value %d of writer %d; the stable write of value %d, and %d of the other, "+
				"came before", round, v, who, last, before)
		}
	}
}

// block is one value of a writer.
func block(who byte, v int64) []byte {
	return bytes.Repeat(append([]byte{who}, be64(uint64(v))...), 100)
}

// sizeWithoutBytes writes a file in order without commits: after a crash it
// may be shorter, but what its size shows was written.
func sizeWithoutBytes(e *env) {
	f := e.create(super, e.top, "f", 0o644)
	var want []byte
	for i := range 200 {
		p := bytes.Repeat([]byte{byte(i%255 + 1)}, 777)
		e.write(f, uint64(len(want)), string(p), vfs.Unstable)
		want = append(want, p...)
	}
	// Other changes of the file are durable, and carry its record with them.
	e.setattr(super, f, mode(0o600))
	e.link(f, e.top, "g")
	e.rename(e.top, "g", e.top, "h")
	e.crash()
	a := e.attr(f)
	if a.Mode != 0o600 || a.Nlink != 2 || e.lookup(e.top, "h") != f {
		e.Fatalf("the file is %+v", a)
	}
	got := e.contents(f)
	if uint64(len(got)) != a.Size || !bytes.HasPrefix(want, got) {
		e.Fatalf("the file of size %d holds %d bytes that were not written like that", a.Size, len(got))
	}
	if a.Used != a.Size {
		e.Fatalf("size %d used %d", a.Size, a.Used)
	}
}

func namesAfterCrash(e *env) {
	d := e.mkdir(super, e.top, "d", 0o755)
	f := e.create(super, e.top, "f", 0o644)
	e.symlink(e.top, "s", "target")
	e.link(f, d, "g")
	e.remove(e.top, "f")
	sub := e.mkdir(super, e.top, "sub", 0o755)
	e.rename(e.top, "sub", d, "moved")
	e.create(super, e.top, "x", 0o644)
	e.create(super, e.top, "y", 0o644)
	e.rename(e.top, "x", e.top, "y")
	e.mkdir(super, e.top, "gone", 0o755)
	e.rmdir(e.top, "gone")
	state := func() string {
		var b strings.Builder
		e.walk(e.top, func(a vfs.Attr) { fmt.Fprintf(&b, "%+v\n", a) })
		for _, dir := range []vfs.ID{e.top, d, sub} {
			entries, _ := e.list(dir, 0, 0)
			fmt.Fprintf(&b, "%+v\n", entries)
		}
		return b.String()
	}
	before := state()
	e.crash()
	if after := state(); after != before {
		e.Fatalf("the tree went from\n%s\nto\n%s", before, after)
	}
}

func reclaimed(e *env) {
	// Few extents go with the removal, many afterwards.
	for i, extents := range []int{1, 10, 100, 3000} {
		name := fmt.Sprint("f", i)
		f := e.create(super, e.top, name, 0o644)
		for x := range extents {
			e.write(f, uint64(x)*8192, "x", vfs.Unstable)
		}
		e.commit(f)
		e.hasExtents(f.Inode)
		e.write(f, 0, "unstable", vfs.Unstable)
		if i%2 == 0 {
			e.remove(e.top, name)
		} else {
			e.create(super, e.top, "over", 0o644)
			e.rename(e.top, "over", e.top, name)
		}
		e.noExtents(f.Inode)
	}
}

// hasExtents checks that the metadata store knows extents of the inode where
// noExtents looks for them: elsewhere it would find none for ever.
func (e *env) hasExtents(ino uint64) {
	e.Helper()
	if e.below('x', ino) == 0 {
		e.Fatalf("inode %d has no extents before it is removed", ino)
	}
}

// below counts the keys of an inode of one kind, 10 at most.
func (e *env) below(kind byte, ino uint64) int {
	e.Helper()
	pairs, err := e.Meta.Scan(context.Background(), meta.PrefixRange(append([]byte{kind}, be64(ino)...)), 10)
	e.ok(err, "scan")
	return len(pairs)
}

// noExtents waits until the metadata store knows no extent of the inode.
func (e *env) noExtents(ino uint64) {
	e.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if e.below('x', ino)+e.below('o', ino) == 0 {
			return
		}
		if time.Now().After(deadline) {
			e.Fatalf("the removed inode %d still has extents", ino)
		}
	}
}
