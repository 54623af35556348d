package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
)

func sample() *Manifest {
	m := &Manifest{
		Number: 42, Instance: strings.Repeat("0f", 16), Epoch: 7, Generation: 1,
		Moment: time.Unix(1764010000, 123456789).UTC(), Written: 1000,
		Chunks: []Chunk{
			{Sum: [32]byte{1}, Size: 100, Raw: 300, Pairs: 3}, {Sum: [32]byte{2}, Size: 900, Raw: 90000, Pairs: 1000},
		},
		Segments: []data.StoredSegment{
			{ID: 1<<32 | 1, Size: 4096, Payload: 4000, FooterCRC: 5}, {ID: 3<<32 | 9, Size: 64 << 20, Payload: 7, FooterCRC: 1 << 31},
		},
	}
	return m
}

func TestAManifestIsReadAsItWasWritten(t *testing.T) {
	b, err := sample().encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeManifest(b)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range b {
		if _, err := decodeManifest(b[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(b), err)
		}
	}
	for i := range b {
		changed := bytes.Clone(b)
		changed[i] ^= 4
		if _, err := decodeManifest(changed); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	newer := bytes.Clone(b)
	newer[len(manifestTitle)+3] = 2
	if _, err := decodeManifest(newer); !errors.Is(err, ErrFormat) ||
		!strings.Contains(err.Error(), "format 2, this version of dittofs knows 1") {
		t.Errorf("a newer format: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	b, err := sample().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:len(b)-32])
	f.Add([]byte(manifestTitle + "\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<20 {
			return
		}
		m, err := decodeManifest(withSum(body))
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeManifest(again)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v is %+v when it is written and read, %v", m, got, err)
		}
	})
}

func FuzzChunk(f *testing.F) {
	var cut chunker
	for i := range 100 {
		cut.add(meta.Pair{Key: fmt.Appendf(nil, "key%06d", i), Value: bytes.Repeat([]byte{byte(i)}, i)})
	}
	raw, c := cut.take()
	e, d := newEncoder(), newDecoder()
	f.Add(seal(e, raw), raw)
	f.Add([]byte(chunkMagic), []byte{1, 'k', 0})
	f.Fuzz(func(t *testing.T, object, raw []byte) {
		if pairs, err := unseal(d, object, c); err == nil && len(pairs) != 100 {
			t.Errorf("%d pairs", len(pairs))
		} else if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		pairs, err := parsePairs(raw)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		var again chunker
		for i, p := range pairs {
			if i > 0 && bytes.Compare(pairs[i-1].Key, p.Key) >= 0 {
				t.Fatal("keys are not in order")
			}
			again.add(p)
		}
		if got, err := parsePairs(again.raw); err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", pairs) {
			t.Errorf("%q, not %q, %v", got, pairs, err)
		}
	})
}

// withSum ends a body with its checksum.
func withSum(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestAChunkThatExpandsTooFarIsRefused(t *testing.T) {
	e, d := newEncoder(), newDecoder()
	object := seal(e, make([]byte, 64<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := unseal(d, object, Chunk{Size: int64(len(object)), Raw: maxRaw})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes were allocated for a chunk of %d", grown, len(object))
	}
}

// TestAnInsertionMovesFewEndsOfChunks is what makes backups incremental.
func TestAnInsertionMovesFewEndsOfChunks(t *testing.T) {
	cuts := func(keys []string) map[[32]byte]bool {
		var cut chunker
		sums := map[[32]byte]bool{}
		for _, k := range keys {
			if cut.add(meta.Pair{Key: []byte(k), Value: make([]byte, 90)}) {
				_, c := cut.take()
				sums[c.Sum] = true
				if c.Raw > maxRaw {
					t.Fatalf("a chunk of %d bytes", c.Raw)
				}
			}
		}
		return sums
	}
	var keys []string
	for i := range 200_000 {
		keys = append(keys, fmt.Sprintf("i%08d", i*10))
	}
	before := cuts(keys)
	more := append(append(append([]string{}, keys[:77_777]...), "i00777770x"), keys[77_777:]...)
	added := 0
	for sum := range cuts(more) {
		if !before[sum] {
			added++
		}
	}
	if len(before) < 20 || added < 1 || added > 3 {
		t.Errorf("of %d chunks %d are new after one insertion", len(before), added)
	}
}

// counting generates n pairs of the size of inodes, and directory entries.
type counting struct{ n int }

func (c counting) Get(context.Context, ...[]byte) ([][]byte, error) { return nil, nil }

func (c counting) Scan(ctx context.Context, r meta.Range, limit int) (pairs []meta.Pair, err error) {
	i := uint64(0)
	if len(r.Start) > 0 {
		i = binary.BigEndian.Uint64(r.Start[1:9]) + 1
	}
	random := rand.New(rand.NewPCG(i, 0))
	for ; i < uint64(c.n) && len(pairs) < limit; i++ {
		value := make([]byte, 100)
		for j := range 20 {
			value[j] = byte(random.Uint32())
		}
		pairs = append(pairs, meta.Pair{Key: binary.BigEndian.AppendUint64([]byte("i"), i), Value: value})
	}
	return pairs, ctx.Err()
}

// nowhere is a content store that takes everything and keeps nothing.
type nowhere struct{ content.Store }

func (nowhere) Put(_ context.Context, _ string, r io.ReaderAt, size int64) error {
	_, err := io.Copy(io.Discard, io.NewSectionReader(r, 0, size))
	return err
}

func TestMemoryDoesNotGrowWithTheMetadata(t *testing.T) {
	var peak, base runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&base)
	pages := 0
	made := &Manifest{}
	w := &writer{store: nowhere{}, made: made, encoder: newEncoder(), refs: map[format.SegmentID]struct{}{},
		progress: func(Progress) {
			if pages++; pages%50 == 0 {
				runtime.GC()
				var now runtime.MemStats
				if runtime.ReadMemStats(&now); now.HeapAlloc > peak.HeapAlloc {
					peak = now
				}
			}
		}}
	if err := w.all(t.Context(), counting{1_000_000}); err != nil {
		t.Fatal(err)
	}
	if made.Pairs() != 1_000_000 || peak.HeapAlloc == 0 {
		t.Fatalf("%d pairs", made.Pairs())
	}
	if grown := int64(peak.HeapAlloc) - int64(base.HeapAlloc); grown > 48<<20 {
		t.Errorf("%d bytes of memory for a million inodes", grown)
	} else {
		t.Logf("a million inodes: %d chunks, %d bytes, %d bytes of memory at most", len(made.Chunks), made.Written, grown)
	}
}
