package vfstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/dittofs/dittofs/internal/vfs"
)

var dataTests = []behaviour{
	{"ReadGivesWhatWasWritten", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		for _, how := range []vfs.Stability{vfs.Unstable, vfs.DataSync, vfs.FileSync} {
			text := fmt.Sprint("written with stability ", how)
			e.write(f, 0, text, how)
			e.holds(f, text)
			e.truncate(f, 0)
			e.holds(f, "")
		}
	}},
	{"ReadTellsTheEnd", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		_, eof, err := e.tryRead(super, f, 0, 10)
		if err != nil || !eof {
			e.Fatalf("read of an empty file: eof %v, %v", eof, err)
		}
		e.write(f, 0, "0123456789", vfs.Unstable)
		for _, tt := range []struct {
			off   uint64
			count uint32
			want  string
			eof   bool
		}{
			{0, 10, "0123456789", true}, {0, 9, "012345678", false}, {0, 11, "0123456789", true},
			{9, 1, "9", true}, {9, 5, "9", true}, {10, 1, "", true}, {11, 1, "", true}, {3, 0, "", false},
			{1 << 62, 1, "", true}, {1<<64 - 1, 1, "", true}, {5, 1<<32 - 1, "56789", true},
		} {
			p, eof, err := e.tryRead(super, f, tt.off, tt.count)
			if err != nil || string(p) != tt.want || eof != tt.eof {
				e.Errorf("read of %d at %d: %q eof %v (%v), want %q eof %v", tt.count, tt.off, p, eof, err, tt.want, tt.eof)
			}
		}
	}},
	{"HolesReadAsZerosAndUseNothing", holes},
	{"SizesHave63Bits", sizes},
	{"ATruncationForgetsWhatItCutsOff", func(e *env) {
		for _, how := range []vfs.Stability{vfs.Unstable, vfs.FileSync} {
			f := e.create(super, e.top, fmt.Sprint("f", how), 0o644)
			e.write(f, 0, strings.Repeat("x", 10000), how)
			e.truncate(f, 4000)
			if used := e.attr(f).Used; used != 4000 {
				e.Fatalf("%d bytes are used", used)
			}
			e.truncate(f, 9000)
			e.holds(f, strings.Repeat("x", 4000)+strings.Repeat("\x00", 5000))
			e.write(f, 8000, "y", how)
			e.holds(f, strings.Repeat("x", 4000)+strings.Repeat("\x00", 4000)+"y"+strings.Repeat("\x00", 999))
			e.truncate(f, 0)
			if a := e.attr(f); a.Size != 0 || a.Used != 0 {
				e.Fatalf("size %d used %d", a.Size, a.Used)
			}
			e.truncate(f, 3)
			e.holds(f, "\x00\x00\x00")
		}
	}},
	{"LaterWritesWin", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, "aaaaaaaaaa", vfs.FileSync)
		e.write(f, 2, "bbbb", vfs.Unstable)
		e.write(f, 4, "cccc", vfs.FileSync)
		e.write(f, 3, "d", vfs.Unstable)
		e.holds(f, "aabdccccaa")
		e.commit(f)
		e.holds(f, "aabdccccaa")
		if used := e.attr(f).Used; used != 10 {
			e.Fatalf("%d bytes are used, want 10", used)
		}
	}},
	{"RandomWritesAndTruncationsMatchAnArray", randomData},
	{"LargeWritesComeBackWhole", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		rnd := rand.New(rand.NewPCG(1, 2))
		var want []byte
		for i := range 6 {
			p := make([]byte, 1<<20)
			for i := range p {
				p[i] = byte(rnd.Uint32())
			}
			e.write(f, uint64(len(want)), string(p), vfs.Stability(i%3))
			want = append(want, p...)
		}
		for off := 0; off < len(want); off += 1 << 20 {
			if !bytes.Equal(e.read(f, uint64(off), 1<<20), want[off:off+1<<20]) {
				e.Fatalf("the MiB at %d differs", off)
			}
		}
		// Across the borders of the writes.
		if !bytes.Equal(e.read(f, 3<<19, 1<<20), want[3<<19:5<<19]) {
			e.Fatal("a read across two writes differs")
		}
		e.restart()
		if !bytes.Equal(e.contents(f), want) {
			e.Fatal("the file differs after a restart")
		}
	}},
	{"AReadThatIsTooLargeIsShort", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.truncate(f, 100<<20)
		e.write(f, 7, "data", vfs.FileSync)
		p, eof, err := e.tryRead(super, f, 0, 64<<20)
		e.ok(err, "read of 64 MiB")
		const most = 8 << 20 // else one call could ask for any amount of memory
		if len(p) < 1<<20 || len(p) > most || eof || !bytes.HasPrefix(p, []byte("\x00\x00\x00\x00\x00\x00\x00data\x00")) {
			e.Fatalf("%d bytes, eof %v", len(p), eof)
		}
	}},
	{"AnEmptyWriteChangesNothing", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		before := e.attr(f)
		e.write(f, 100, "", vfs.FileSync)
		e.write(f, 0, "", vfs.Unstable)
		if a := e.attr(f); a != before {
			e.Fatalf("the file went from %+v to %+v", before, a)
		}
	}},
	{"DirectoriesHaveNoData", func(e *env) {
		_, _, err := e.tryRead(super, e.top, 0, 1)
		e.want(err, vfs.EISDIR, "read")
		_, _, err = e.FS.Write(super, e.top, 0, []byte("x"), vfs.FileSync)
		e.want(err, vfs.EISDIR, "write")
		_, err = e.FS.SetAttr(super, e.top, vfs.SetAttr{Size: ptr(uint64(0))}, nil)
		e.want(err, vfs.EISDIR, "truncate")
		_, err = e.FS.Commit(super, e.top, 0, 0)
		e.want(err, vfs.EINVAL, "commit")
	}},
	{"WritersOfOneFileRunTogether", writersTogether},
	{"LocalDataIsReadWithoutWaiting", func(e *env) {
		f := e.create(super, e.top, "f", 0o644)
		e.write(f, 0, "data", vfs.FileSync)
		buf, eof, _, err := e.FS.Read(super, f, 0, 4, true)
		e.ok(err, "read without waiting")
		defer buf.Release()
		if string(buf.Bytes()) != "data" || !eof {
			e.Fatalf("got %q, eof %v", buf.Bytes(), eof)
		}
	}},
}

func holes(e *env) {
	f := e.create(super, e.top, "f", 0o644)
	e.write(f, 100_000, "end", vfs.Unstable)
	if a := e.attr(f); a.Size != 100_003 || a.Used != 3 {
		e.Fatalf("size %d used %d", a.Size, a.Used)
	}
	e.write(f, 50_000, "middle", vfs.FileSync)
	want := make([]byte, 100_003)
	copy(want[100_000:], "end")
	copy(want[50_000:], "middle")
	e.holds(f, string(want))
	e.restart()
	e.holds(f, string(want))
	if a := e.attr(f); a.Used != 9 {
		e.Fatalf("%d bytes are used, want 9", a.Used)
	}
	// Growing makes a hole; writing into it uses what is written.
	e.truncate(f, 1<<40)
	e.write(f, 1<<39, "x", vfs.FileSync)
	if a := e.attr(f); a.Size != 1<<40 || a.Used != 10 {
		e.Fatalf("size %d used %d", a.Size, a.Used)
	}
	if got := e.read(f, 1<<39-1, 3); string(got) != "\x00x\x00" {
		e.Fatalf("got %q", got)
	}
	if got := e.read(f, 1<<40-100_000, 200_000); len(got) != 100_000 || bytes.Count(got, []byte{0}) != 100_000 {
		e.Fatalf("the hole at the end reads as %d bytes", len(got))
	}
}

func sizes(e *env) {
	f := e.create(super, e.top, "f", 0o644)
	e.write(f, 1<<62, "far", vfs.FileSync)
	if a := e.attr(f); a.Size != 1<<62+3 || a.Used != 3 {
		e.Fatalf("size %d used %d", a.Size, a.Used)
	}
	if got := e.read(f, 1<<62-2, 100); string(got) != "\x00\x00far" {
		e.Fatalf("got %q", got)
	}
	if got := e.read(f, 1<<61, 10); string(got) != strings.Repeat("\x00", 10) {
		e.Fatalf("got %q", got)
	}
	e.write(f, vfs.MaxFileSize-2, "yz", vfs.Unstable)
	e.commit(f)
	if a := e.attr(f); a.Size != vfs.MaxFileSize {
		e.Fatalf("size %d", a.Size)
	}
	before := e.attr(f)
	for _, off := range []uint64{vfs.MaxFileSize - 1, vfs.MaxFileSize, vfs.MaxFileSize + 1, 1<<64 - 2, 1<<64 - 1} {
		_, wcc, err := e.FS.Write(super, f, off, []byte("ab"), vfs.FileSync)
		e.want(err, vfs.EFBIG, fmt.Sprint("write at ", off))
		if wcc.After != before {
			e.Fatalf("the refused write at %d left %+v", off, wcc.After)
		}
	}
	for _, size := range []uint64{vfs.MaxFileSize + 1, 1<<64 - 1} {
		_, err := e.FS.SetAttr(super, f, vfs.SetAttr{Size: &size}, nil)
		e.want(err, vfs.EFBIG, fmt.Sprint("truncate to ", size))
	}
	e.truncate(f, vfs.MaxFileSize)
	if got, eof, err := e.tryRead(super, f, vfs.MaxFileSize-3, 100); err != nil || !eof || string(got) != "\x00yz" {
		e.Fatalf("the end reads as %q, eof %v (%v)", got, eof, err)
	}
	e.restart()
	if got := e.read(f, 1<<62, 3); string(got) != "far" {
		e.Fatalf("got %q after a restart", got)
	}
	e.truncate(f, 1<<62+1)
	if a := e.attr(f); a.Used != 1 {
		e.Fatalf("%d bytes are used, want 1", a.Used)
	}
}

func randomData(e *env) {
	const largest = 200_000
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	f := e.create(super, e.top, "f", 0o644)
	var want []byte
	written := make([]bool, 0, largest) // the bytes that are no hole
	resize := func(n int) {
		for len(want) < n {
			want, written = append(want, 0), append(written, false)
		}
		want, written = want[:n], written[:n]
	}
	for step := range 400 {
		switch op := rnd.IntN(10); op {
		case 0:
			n := rnd.IntN(largest)
			e.truncate(f, uint64(n))
			resize(n)
		case 1:
			e.commit(f)
		default:
			off := rnd.IntN(largest / 2)
			p := make([]byte, 1+rnd.IntN(1<<rnd.IntN(17)))
			for i := range p {
				p[i] = byte(step + i)
			}
			e.write(f, uint64(off), string(p), vfs.Stability(rnd.IntN(3)))
			resize(max(len(want), off+len(p)))
			copy(want[off:], p)
			for i := range p {
				written[off+i] = true
			}
		}
		off := rnd.IntN(largest)
		count := rnd.IntN(largest / 4)
		got := e.read(f, uint64(off), uint32(count))
		expect := want[min(off, len(want)):min(off+count, len(want))]
		if !bytes.Equal(got, expect) {
			e.Fatalf("seed %d, step %d: %d bytes at %d differ", seed, step, count, off)
		}
		used := uint64(0)
		for _, w := range written {
			if w {
				used++
			}
		}
		if a := e.attr(f); a.Size != uint64(len(want)) || a.Used != used {
			e.Fatalf("seed %d, step %d: size %d used %d, want %d and %d", seed, step, a.Size, a.Used, len(want), used)
		}
	}
	if !bytes.Equal(e.contents(f), want) {
		e.Fatalf("seed %d: the file differs", seed)
	}
}

func writersTogether(e *env) {
	const writers, blocks, size = 8, 32, 4096
	f := e.create(super, e.top, "f", 0o644)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for b := range blocks {
				off := uint64((b*writers + w) * size)
				p := bytes.Repeat([]byte{byte(w*blocks + b + 1)}, size)
				how := vfs.Stability((w + b) % 3)
				if _, _, err := e.FS.Write(super, f, off, p, how); err != nil {
					e.Errorf("write: %v", err)
				}
				if got, _, err := e.tryRead(super, f, off, size); err != nil || !bytes.Equal(got, p) {
					e.Errorf("the block at %d reads back as another (%v)", off, err)
				}
			}
		})
	}
	wg.Wait()
	a := e.attr(f)
	if a.Size != writers*blocks*size || a.Used != a.Size {
		e.Fatalf("size %d used %d", a.Size, a.Used)
	}
	for i := range writers * blocks {
		w, b := i%writers, i/writers
		want := bytes.Repeat([]byte{byte(w*blocks + b + 1)}, size)
		if !bytes.Equal(e.read(f, uint64(i*size), size), want) {
			e.Fatalf("block %d differs", i)
		}
	}
}
