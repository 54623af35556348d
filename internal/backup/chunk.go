package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"github.com/dittofs/dittofs/internal/meta"
)

// Errors of this package, matched with errors.Is.
var (
	// ErrDamaged: a backup is not what was written: truncated, changed, or
	// parts of it are gone.
	ErrDamaged = errors.New("backup is damaged")
	// ErrFormat: a backup of an unknown (newer) format.
	ErrFormat = errors.New("backup has an unknown format")
)

// Bounds of chunks, in bytes before compression. A chunk ends with the first
// key whose checksum says so, once it has minChunk bytes, and at maxChunk.
const (
	minChunk = 16 << 10
	maxChunk = 1 << 20
	// maxRaw is the most that a chunk can have: the last pair may exceed
	// maxChunk.
	maxRaw = maxChunk + meta.MaxKey + meta.MaxValue + 2*binary.MaxVarintLen32
	// cutMask makes every 512th key an end, on average: some 60 KiB of pairs,
	// 10 KiB when they are compressed.
	cutMask = 512 - 1
	// maxObject bounds a chunk's object.
	maxObject = maxRaw + maxRaw/8 + 1024
)

// chunkMagic begins a chunk's object; the last byte is the format.
const chunkMagic = "DFBC\x01"

// Chunk is a chunk's entry in a manifest.
type Chunk struct {
	Sum   [sha256.Size]byte // of the pairs before compression
	Size  int64             // of the object, in bytes
	Raw   int64             // of the pairs, in bytes
	Pairs int64
}

// object is the chunk's name in the content store.
func (c Chunk) object() string { return chunkPrefix + hex.EncodeToString(c.Sum[:]) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunker cuts pairs, which come in the order of keys, into chunks. Where it
// cuts depends on the keys alone, so that a change moves few ends.
type chunker struct {
	raw   []byte
	pairs int64
}

// add adds a pair and says that the chunk is complete.
func (c *chunker) add(p meta.Pair) (complete bool) {
	c.raw = binary.AppendUvarint(c.raw, uint64(len(p.Key)))
	c.raw = append(c.raw, p.Key...)
	c.raw = binary.AppendUvarint(c.raw, uint64(len(p.Value)))
	c.raw = append(c.raw, p.Value...)
	c.pairs++
	return len(c.raw) >= maxChunk || len(c.raw) >= minChunk && crc32.Checksum(p.Key, castagnoli)&cutMask == 0
}

// take returns the pairs so far and begins the next chunk.
func (c *chunker) take() (raw []byte, chunk Chunk) {
	raw = c.raw
	chunk = Chunk{Sum: sha256.Sum256(raw), Raw: int64(len(raw)), Pairs: c.pairs}
	*c = chunker{}
	return raw, chunk
}

// newEncoder and newDecoder serve several goroutines. Their options have no
// error.
func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(writers),
		zstd.WithWindowSize(maxChunk), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err)
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(readers), zstd.WithDecoderMaxMemory(maxRaw))
	if err != nil {
		panic(err)
	}
	return d
}

// seal is the object of a chunk.
func seal(e *zstd.Encoder, raw []byte) []byte {
	return e.EncodeAll(raw, append(make([]byte, 0, len(raw)/3+64), chunkMagic...))
}

// unseal returns the pairs of a chunk's object, which must be those that the
// manifest names.
func unseal(d *zstd.Decoder, object []byte, want Chunk) ([]meta.Pair, error) {
	if !bytes.HasPrefix(object, []byte(chunkMagic)) {
		if len(object) >= len(chunkMagic) && string(object[:4]) == chunkMagic[:4] {
			return nil, fmt.Errorf("chunk of format %d, this version knows %d: %w", object[4], chunkMagic[4], ErrFormat)
		}
		return nil, fmt.Errorf("not a chunk: %w", ErrDamaged)
	}
	raw, err := d.DecodeAll(object[len(chunkMagic):], make([]byte, 0, min(max(want.Raw, 0), maxRaw)))
	if err != nil {
		return nil, fmt.Errorf("chunk: %w: %w", err, ErrDamaged)
	}
	if int64(len(raw)) != want.Raw || sha256.Sum256(raw) != want.Sum {
		return nil, fmt.Errorf("chunk has another checksum than its manifest says: %w", ErrDamaged)
	}
	pairs, err := parsePairs(raw)
	if err == nil && int64(len(pairs)) != want.Pairs {
		err = fmt.Errorf("chunk of %d pairs, not %d: %w", len(pairs), want.Pairs, ErrDamaged)
	}
	return pairs, err
}

// parsePairs is the inverse of add. The pairs refer to raw.
func parsePairs(raw []byte) (pairs []meta.Pair, err error) {
	for len(raw) > 0 {
		var p meta.Pair
		if p.Key, raw, err = parseBytes(raw, meta.MaxKey); err == nil {
			p.Value, raw, err = parseBytes(raw, meta.MaxValue)
		}
		switch {
		case err != nil:
			return nil, err
		case len(p.Key) == 0, len(pairs) > 0 && bytes.Compare(pairs[len(pairs)-1].Key, p.Key) >= 0:
			return nil, fmt.Errorf("chunk's keys are not in order: %w", ErrDamaged)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func parseBytes(b []byte, limit uint64) (value, rest []byte, err error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > limit || n > uint64(len(b)-used) {
		return nil, nil, fmt.Errorf("chunk ends within a pair: %w", ErrDamaged)
	}
	b = b[used:]
	return b[:n:n], b[n:], nil
}
