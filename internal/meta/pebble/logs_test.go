package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/disk/crashdisk"
	"github.com/dittofs/dittofs/internal/meta"
)

// killed returns the disk of a store that was killed with n batches in its
// log, and the names of the log and the manifest.
func killed(t *testing.T, n int) (at *crashdisk.Replay, log, manifest string) {
	t.Helper()
	d := crashdisk.New(crashdisk.Options{})
	s, err := Open("/meta", Options{Logger: quiet.Logger, FS: d.Pebble()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b := &meta.Batch{}
		b.Put(fmt.Appendf(nil, "k%05d", i), bytes.Repeat([]byte{byte(i), 0, 1}, 20+i%300))
		if err := s.Apply(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	at = d.Replay()
	for at.Step() {
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name := range at.Kill().Files() {
		switch {
		case filepath.Ext(name) == ".log":
			log = max(log, name)
		case strings.HasPrefix(filepath.Base(name), "MANIFEST-"):
			manifest = max(manifest, name)
		}
	}
	return at, log, manifest
}

func content(t *testing.T, d *crashdisk.Disk, name string) []byte {
	t.Helper()
	f, err := d.Pebble().Open(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// written is where the zeros begin that a log has ahead of its records.
func written(t *testing.T, c logCheck, p []byte) int {
	t.Helper()
	c.bad = -1
	if damaged, err := c.run(bytes.NewReader(p)); damaged || err != nil {
		t.Fatalf("damaged: %t, %v", damaged, err)
	}
	if c.bad < 0 {
		return len(p)
	}
	if !allZero(p[c.bad:]) {
		t.Fatalf("behind byte %d are other things than zeros", c.bad)
	}
	return int(c.bad)
}

func numberOf(t *testing.T, log string) (n uint32) {
	t.Helper()
	if _, err := fmt.Sscanf(filepath.Base(log), "%d.log", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func check(c *logCheck, p []byte) bool {
	again := *c
	again.bad = -1
	damaged, err := again.run(bytes.NewReader(p))
	return damaged && err == nil
}

// TestEveryFlippedBitOfTheLogAndTheManifestIsNoticed also covers the last
// commit, of which Pebble cannot tell whether it was ever synced. A few bytes at
// its end could be those of a sector that was not written.
func TestEveryFlippedBitOfTheLogAndTheManifestIsNoticed(t *testing.T) {
	at, log, manifest := killed(t, 120)
	for name, c := range map[string]*logCheck{log: {isLog: true, number: numberOf(t, log)}, manifest: {}} {
		p := content(t, at.Kill(), name)
		if check(c, p) {
			t.Fatalf("%s is found damaged as it is", name)
		}
		end := len(p)
		if name == log {
			if end = written(t, *c, p); end < logBlock+1000 || end == len(p) {
				t.Fatalf("a log of %d bytes, with zeros %d, shows too little", end, len(p))
			}
			p = p[:end+logBlock]
		}
		for i := range end {
			if i%7 > 0 && i < end-1000 {
				continue
			}
			mask := byte(1) << (i / 7 % 8)
			p[i] ^= mask
			if !check(c, p) && !isPadding(p[:end], i, mask) && !isUntellable(p[:end], i) {
				t.Errorf("%s: a flipped bit of byte %d of %d goes unnoticed", name, i, end)
			}
			p[i] ^= mask
		}
	}
}

// isPadding says whether the byte was one of the zeros at the end of a block.
func isPadding(p []byte, i int, mask byte) bool {
	end := min((i/logBlock+1)*logBlock, len(p))
	return p[i] == mask && end%logBlock == 0 && end-i < synced && allZero(p[i+1:end])
}

func isUntellable(p []byte, i int) bool {
	return len(p)%sector < tellable && i >= len(p)/sector*sector
}

func TestADamagedLogIsRefusedAndATornOneIsNot(t *testing.T) {
	var at *crashdisk.Replay
	var log, manifest string
	size := 0
	for n := 30; size%sector < 8 || size%sector >= tellable; n++ {
		at, log, manifest = killed(t, n)
		size = written(t, logCheck{isLog: true, number: numberOf(t, log)}, content(t, at.Kill(), log))
	}
	for what, damage := range map[string]struct {
		file   string
		edit   func(p []byte)
		damage bool
	}{
		"a bit in the middle of the log":     {log, func(p []byte) { p[size/2] ^= 4 }, true},
		"a bit in its last commit":           {log, func(p []byte) { p[size-tellable-5] ^= 4 }, true},
		"a bit at the end of its length":     {log, func(p []byte) { p[4] ^= 1 }, true},
		"bytes in the middle of the log":     {log, func(p []byte) { copy(p[size/2:], "damage") }, true},
		"a bit in the manifest":              {manifest, func(p []byte) { p[len(p)/2] ^= 4 }, true},
		"the end of the log, never there":    {log, func(p []byte) { clear(p[size-60:]) }, false},
		"a sector that is old but for a bit": {log, func(p []byte) { p[size/sector*sector+2] ^= 4 }, false},
	} {
		t.Run(what, func(t *testing.T) {
			d := at.Kill()
			if err := d.Edit(damage.file, func(p []byte) []byte { damage.edit(p); return p }); err != nil {
				t.Fatal(err)
			}
			s, err := Open("/meta", Options{Logger: quiet.Logger, FS: d.Pebble()})
			if damage.damage {
				if !errors.Is(err, meta.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(damage.file)) {
					t.Errorf("open: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEveryPowerCutLeavesAStore goes through a whole life, and through the
// next start, at every change of the disk.
func TestEveryPowerCutLeavesAStore(t *testing.T) {
	d := crashdisk.New(crashdisk.Options{})
	acked := map[int]int{} // batches by position of the log
	n := 0
	open := func(d *crashdisk.Disk) *Store {
		s, err := Open("/meta", Options{Logger: quiet.Logger, FS: d.Pebble(), MemTableBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for range 2 {
		s := open(d)
		for range 25 {
			b := &meta.Batch{}
			b.Put(fmt.Appendf(nil, "k%05d", n), make([]byte, 3000))
			if err := s.Apply(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			n++
			acked[d.Len()] = n
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	least := 0
	for r := d.Replay(); r.Step(); {
		least = max(least, acked[r.Pos()])
		for n := range uint64(8) {
			seed := uint64(r.Pos())*8 + n
			clone := r.PowerCut(seed)
			checkCut(t, clone, least, fmt.Sprintf("power cut %d after %v", seed, r.Last()))
			again := clone.Replay()
			for range 1 + r.Pos()*7%clone.Len() {
				again.Step()
			}
			checkCut(t, again.PowerCut(seed), least, fmt.Sprintf("power cut %d after %v, and after %v", seed,
				r.Last(), again.Last()))
		}
		if t.Failed() {
			return
		}
	}
}

func checkCut(t *testing.T, d *crashdisk.Disk, least int, what string) {
	t.Helper()
	s, err := Open("/meta", Options{Logger: quiet.Logger, FS: d.Pebble()})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	pairs, err := s.Scan(t.Context(), meta.PrefixRange([]byte("k")), 1000)
	if err != nil || len(pairs) < least {
		t.Errorf("%s: %d batches, %d were acknowledged, %v", what, len(pairs), least, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: close: %v", what, err)
	}
}

func FuzzCheckLog(f *testing.F) {
	whole := []byte("0123456789")
	chunk := append([]byte{0, 0, 0, 0, byte(len(whole)), 0, 1}, whole...)
	crc := maskedCRC(chunk[crcFrom:])
	chunk[0], chunk[1], chunk[2], chunk[3] = byte(crc), byte(crc>>8), byte(crc>>16), byte(crc>>24)
	f.Add(chunk, false)
	f.Add(append(bytes.Clone(chunk), chunk...), false)
	f.Add(make([]byte, logBlock+10), true)
	f.Fuzz(func(t *testing.T, p []byte, isLog bool) {
		c := &logCheck{isLog: isLog, number: 3, bad: -1}
		damaged, err := c.run(bytes.NewReader(p))
		if err != nil || damaged && (c.bad < 0 || c.bad >= int64(len(p))) {
			t.Fatalf("damaged %v at %d of %d, %v", damaged, c.bad, len(p), err)
		}
	})
}
