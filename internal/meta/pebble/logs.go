package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/dittofs/dittofs/internal/meta"
)

// After a crash Pebble reads its manifest and its newest log up to the first
// chunk that is not whole, and takes that for one that was being written. It
// looks for proof of the contrary only behind the next multiple of 32 KiB of
// the log, and not at all in the manifest. So a flipped bit would undo, without
// an error, all commits behind it. This file looks everywhere before Pebble
// opens the database. What proves damage is
//
//   - a chunk of the log that says that its writer had synced what lies before
//     it, the broken chunk included;
//   - the beginning of a record of the manifest, which is only written after
//     the sync of the one before;
//   - that the broken chunk is whole but for a single bit. This tells also for
//     the last one, where nothing follows, except for a few bytes at its end.
//
// The format is that of package record of Pebble: blocks of 32 KiB with chunks
//
//	crc(4) length(2) type(1), of a log: log number(4) synced up to(8), payload
//
// little endian; the masked CRC-32C covers what follows the length. A block
// ends with zeros where no header fits. A log ends with the header of a chunk
// of the next number, and what follows is old.
const (
	logBlock  = 32 << 10
	sector    = 512 // what a disk writes as a whole
	tellable  = 128 // bytes of a sector that are not by chance the same but for a bit
	crcFrom   = 6   // the first byte under the checksum
	manifest  = 7   // length of a header in the manifest
	unsynced  = 11  // of one in a log that was begun before the format was raised
	synced    = 19  // of one in a log
	crcMasked = 0xa282ead8
)

// checkLogs returns meta.ErrCorrupt if the manifest or the newest log of a
// database is damaged where Pebble would see the end of it.
func checkLogs(disk vfs.FS, dir string) error {
	current, err := atomicfs.ReadMarker(disk, dir, "manifest")
	if errors.Is(err, os.ErrNotExist) || err == nil && current == "" {
		return nil // a new database
	}
	if err != nil {
		return err
	}
	if err := checkLogFile(disk, disk.PathJoin(dir, current), &logCheck{}); err != nil {
		return err
	}
	names, err := disk.List(dir)
	if err != nil {
		return err
	}
	newest, number := "", uint64(0)
	for _, name := range names {
		base, isLog := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(base, 10, 32); isLog && err == nil && n >= number {
			newest, number = name, n
		}
	}
	if newest == "" {
		return nil
	}
	return checkLogFile(disk, disk.PathJoin(dir, newest), &logCheck{isLog: true, number: uint32(number)})
}

func checkLogFile(disk vfs.FS, name string, c *logCheck) error {
	f, err := disk.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil // Pebble has a better message
	}
	if err != nil {
		return err
	}
	defer f.Close()
	c.bad = -1
	damaged, err := c.run(f)
	if err == nil && damaged {
		err = fmt.Errorf("%s is damaged at byte %d, and what was committed behind it would be lost: "+
			"restore a copy of the directory: %w",
			disk.PathBase(name), c.bad, meta.ErrCorrupt)
	}
	return err
}

// logCheck reads a log or a manifest.
type logCheck struct {
	isLog  bool
	number uint32 // of the log
	bad    int64  // where the first chunk is that is not whole; -1: not met
}

// run says whether the file is damaged at bad.
func (c *logCheck) run(r io.Reader) (damaged bool, err error) {
	buf := make([]byte, logBlock)
	for base := int64(0); ; base += logBlock {
		n, err := io.ReadFull(r, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
		block, from := buf[:n], 0
		if c.bad < 0 {
			at, ended := c.walk(block)
			if ended {
				return false, nil
			}
			if at < len(block) {
				c.bad, from = base+int64(at), at+1
				if c.isOneBitOff(block[at:]) {
					return true, nil
				}
			}
		}
		if c.bad >= 0 && c.hasProof(block, from, base) {
			return true, nil
		}
		if n < logBlock {
			return false, nil
		}
	}
}

// walk returns where the first chunk of a block is that is not whole; its
// length if all are.
func (c *logCheck) walk(block []byte) (at int, ended bool) {
	for at+manifest <= len(block) {
		if c.isTrailer(block[at:]) {
			return at, true
		}
		n, ok := c.chunk(block[at:])
		if ok {
			at += n
			continue
		}
		if c.isLog && len(block)-at < synced && allZero(block[at:]) {
			break
		}
		return at, false
	}
	return len(block), false
}

func (c *logCheck) isTrailer(b []byte) bool {
	return c.isLog && len(b) >= unsynced && allZero(b[:crcFrom]) && b[crcFrom] == 5 &&
		binary.LittleEndian.Uint32(b[7:]) == c.number+1
}

// header is the length of the header of a chunk of the type; 0 if this file
// has none.
func (c *logCheck) header(typ byte) int {
	switch {
	case !c.isLog && 1 <= typ && typ <= 4:
		return manifest
	case c.isLog && 5 <= typ && typ <= 8:
		return unsynced
	case c.isLog && 9 <= typ && typ <= 12:
		return synced
	}
	return 0
}

// begins returns the length of the chunk whose header b begins with, if it is
// one of this file.
func (c *logCheck) begins(b []byte) (n int, ok bool) {
	if len(b) < manifest {
		return 0, false
	}
	header := c.header(b[crcFrom])
	n = header + int(binary.LittleEndian.Uint16(b[4:]))
	return n, header > 0 && n <= len(b) && (!c.isLog || binary.LittleEndian.Uint32(b[7:]) == c.number)
}

// chunk returns the length of the whole chunk that b begins with.
func (c *logCheck) chunk(b []byte) (n int, ok bool) {
	n, ok = c.begins(b)
	return n, ok && maskedCRC(b[crcFrom:n]) == binary.LittleEndian.Uint32(b)
}

// hasProof looks in a block, which begins at base in the file, for a chunk that
// would not have been written if the one at bad had not been whole. One may
// begin anywhere: the length of the bad one is not to be trusted.
func (c *logCheck) hasProof(block []byte, from int, base int64) bool {
	for i := from; i+manifest <= len(block); i++ {
		if _, ok := c.begins(block[i:]); !ok {
			continue
		}
		switch typ := block[i+crcFrom]; {
		case !c.isLog && typ > 2: // not the first chunk of a record
			continue
		case c.isLog && typ < 9:
			continue
		case c.isLog:
			if upTo := int64(binary.LittleEndian.Uint64(block[i+unsynced:])); upTo <= c.bad || upTo > base+int64(i) {
				continue
			}
		}
		if _, ok := c.chunk(block[i:]); ok {
			return true
		}
	}
	return false
}

// isOneBitOff says whether the chunk at bad, with which b begins, is whole but
// for one bit. A write that was torn leaves something else.
func (c *logCheck) isOneBitOff(b []byte) bool {
	header := manifest
	if c.isLog {
		header = synced
	}
	if len(b) < header || allZero(b[:manifest]) {
		return false
	}
	stored, length := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint16(b[4:]))
	if n := header + length; n <= len(b) {
		if bits.OnesCount32(maskedCRC(b[crcFrom:n])^stored) == 1 {
			_, ok := c.begins(b)
			return ok
		}
		if at, mask := flippedBit(b[crcFrom:n], stored); mask != 0 {
			return c.isFlip(b[:n], crcFrom+at, mask)
		}
	}
	for i := range 16 {
		if n := header + (length ^ 1<<i); n <= len(b) && maskedCRC(b[crcFrom:n]) == stored {
			return c.header(b[crcFrom]) == header
		}
	}
	return false
}

// isFlip says whether b would be a chunk with another bit in one of its bytes,
// and that byte is not in a sector that may never have been written: one of
// zeros, or of an earlier use of the file, whose last bytes can be much the same.
func (c *logCheck) isFlip(b []byte, at int, mask byte) bool {
	start := int((c.bad+int64(at))/sector*sector - c.bad)
	part := b[max(start, 0):min(start+sector, len(b))]
	if allZero(part) || start > 0 && len(part) < tellable {
		return false
	}
	b[at] ^= mask
	_, ok := c.begins(b)
	b[at] ^= mask
	return ok
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func maskedCRC(p []byte) uint32 {
	c := crc32.Checksum(p, castagnoli)
	return (c>>15 | c<<17) + crcMasked
}

// flippedBit finds the one bit whose change gives p the checksum.
func flippedBit(p []byte, stored uint32) (at int, mask byte) {
	stored -= crcMasked
	difference := crc32.Checksum(p, castagnoli) ^ (stored>>17 | stored<<15)
	var change [8]uint32 // of the checksum by each bit of the byte at
	for i := range change {
		change[i] = castagnoli[1<<i]
	}
	for at := len(p) - 1; at >= 0; at-- {
		for i := range change {
			if change[i] == difference {
				return at, 1 << i
			}
			change[i] = castagnoli[change[i]&0xff] ^ change[i]>>8
		}
	}
	return 0, 0
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
