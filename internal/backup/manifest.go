package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
)

// Manifest describes a backup.
type Manifest struct {
	Name       string
	Number     uint64 // counts backups of the content store
	Instance   string // whose metadata it is
	Epoch      uint64 // of the metadata store
	Generation uint64 // of the metadata: how often it was restored
	// Moment is the recovery point: everything acknowledged before is in it.
	Moment   time.Time
	Written  int64 // bytes of the chunks that this backup added
	Chunks   []Chunk
	Segments []data.StoredSegment // referred to, in order
}

// Pairs is how many keys the backup has.
func (m *Manifest) Pairs() (n int64) {
	for i := range m.Chunks {
		n += m.Chunks[i].Pairs
	}
	return n
}

// Bytes is what the objects of the backup take, shared ones as well.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Chunks {
		n += m.Chunks[i].Size
	}
	return n
}

const (
	manifestTitle  = "dittofs backup\n"
	manifestFormat = 1
	// maxManifest bounds a manifest's object, in bytes: two million chunks and
	// ten million segments.
	maxManifest   = 256 << 20
	manifestFixed = len(manifestTitle) + 4 + 16 + 5*8
	// Least sizes of an entry.
	chunkEntry, segmentEntry = sha256.Size + 3, 7
)

func (m *Manifest) encode() ([]byte, error) {
	instance, err := hex.DecodeString(m.Instance)
	if err != nil || content.CheckInstance(m.Instance) != nil {
		return nil, fmt.Errorf("instance %q: %w", m.Instance, err)
	}
	b := make([]byte, 0, manifestFixed+len(m.Chunks)*(chunkEntry+6)+len(m.Segments)*(segmentEntry+6)+64)
	b = append(b, manifestTitle...)
	b = binary.BigEndian.AppendUint32(b, manifestFormat)
	b = append(b, instance...)
	for _, n := range []uint64{m.Number, m.Epoch, m.Generation, uint64(m.Moment.UnixNano()), uint64(m.Written)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Chunks)))
	for i := range m.Chunks {
		c := &m.Chunks[i]
		b = append(b, c.Sum[:]...)
		b = binary.AppendUvarint(b, uint64(c.Size))
		b = binary.AppendUvarint(b, uint64(c.Raw))
		b = binary.AppendUvarint(b, uint64(c.Pairs))
	}
	b = binary.AppendUvarint(b, uint64(len(m.Segments)))
	before := format.SegmentID(0)
	for _, g := range m.Segments {
		b = binary.AppendUvarint(b, uint64(g.ID-before))
		b = binary.AppendUvarint(b, uint64(g.Size))
		b = binary.AppendUvarint(b, uint64(g.Payload))
		b = binary.BigEndian.AppendUint32(b, g.FooterCRC)
		before = g.ID
	}
	sum := sha256.Sum256(b)
	if b = append(b, sum[:]...); len(b) > maxManifest {
		return nil, fmt.Errorf("a manifest of %d bytes, more than %d", len(b), maxManifest)
	}
	return b, nil
}

// decodeManifest reads what encode has written; Name is left empty. A newer
// format is told before anything else.
func decodeManifest(b []byte) (*Manifest, error) {
	if len(b) < len(manifestTitle)+4 || !bytes.HasPrefix(b, []byte(manifestTitle)) {
		return nil, fmt.Errorf("not a manifest: %w", ErrDamaged)
	}
	if format := binary.BigEndian.Uint32(b[len(manifestTitle):]); format != manifestFormat {
		return nil, fmt.Errorf("format %d, this version of dittofs knows %d: %w", format, manifestFormat, ErrFormat)
	}
	body := len(b) - sha256.Size
	if body < manifestFixed || sha256.Sum256(b[:body]) != [sha256.Size]byte(b[body:]) {
		return nil, fmt.Errorf("the manifest is truncated or was changed: %w", ErrDamaged)
	}
	r := &reader{b: b[len(manifestTitle)+4 : body]}
	m := &Manifest{Instance: hex.EncodeToString(r.take(16))}
	m.Number, m.Epoch, m.Generation = r.uint64(), r.uint64(), r.uint64()
	m.Moment = time.Unix(0, int64(r.uint64())).UTC()
	m.Written = int64(r.uint64())
	r.chunks(m)
	r.segments(m)
	if r.bad || len(r.b) > 0 || m.Epoch == 0 || m.Epoch > math.MaxUint32 || m.Written < 0 {
		return nil, fmt.Errorf("the manifest has impossible entries: %w", ErrDamaged)
	}
	return m, nil
}

// reader takes values from b; bad is set once there is too little.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

// uvarint reads a number up to limit.
func (r *reader) uvarint(limit uint64) uint64 {
	n, used := binary.Uvarint(r.b)
	if used <= 0 || n > limit {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[used:]
	return n
}

func (r *reader) chunks(m *Manifest) {
	n := r.uvarint(uint64(len(r.b) / chunkEntry))
	m.Chunks = make([]Chunk, n)
	for i := range m.Chunks {
		c := &m.Chunks[i]
		copy(c.Sum[:], r.take(sha256.Size))
		c.Size, c.Raw, c.Pairs = int64(r.uvarint(maxObject)), int64(r.uvarint(maxRaw)), int64(r.uvarint(maxRaw))
	}
}

func (r *reader) segments(m *Manifest) {
	n := r.uvarint(uint64(len(r.b) / segmentEntry))
	m.Segments = make([]data.StoredSegment, n)
	before := format.SegmentID(0)
	for i := range m.Segments {
		g := &m.Segments[i]
		step := r.uvarint(math.MaxUint64 - uint64(before))
		g.ID = before + format.SegmentID(step)
		r.bad = r.bad || step == 0 || g.ID.Epoch() == 0
		g.Size = int64(r.uvarint(math.MaxUint32))
		g.Payload = int64(r.uvarint(uint64(g.Size)))
		g.FooterCRC = binary.BigEndian.Uint32(r.take(4))
		before = g.ID
	}
}
