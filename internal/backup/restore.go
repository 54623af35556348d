package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
)

// Keys of this package, among the settings of the metadata store.
var (
	// restoringKey is in a store that is being restored: its value is the name
	// of the backup.
	restoringKey = []byte(keys.Restoring)
	// generationKey counts restores: 8 bytes, big endian; absent for 0.
	generationKey = []byte(keys.Generation)
)

// Errors of Restore, matched with errors.Is.
var (
	// ErrNotEmpty: the metadata store has something in it.
	ErrNotEmpty = errors.New("the metadata store is not empty")
	// ErrAlive: a server uses the content store.
	ErrAlive = errors.New("a server is running on this content store")
	// ErrNone: there is no backup.
	ErrNone = errors.New("the content store has no backup")
	// ErrIncomplete: a restore was cut off. Such a store must not be served.
	ErrIncomplete = errors.New("a restore was not completed")
	// ErrMissing: segments that the backup refers to are gone.
	ErrMissing = errors.New("segments that the backup refers to are missing in the content store")
)

// RestoreOptions say what is restored and where to.
type RestoreOptions struct {
	Content content.Store
	// From is the name of a backup, or "" for the newest one.
	From string
	// Open opens the metadata store so that its epoch is at least minEpoch. It
	// is called when all that can be checked before has been.
	Open func(minEpoch uint64) (meta.Store, error)
	// Ignore is a key that an empty store may have, because a server was started
	// with it and refused: it is removed.
	Ignore []byte
	// AllowMissing restores although segments are missing: reads of their
	// bytes fail.
	AllowMissing bool
	// Progress may be nil; it gets the keys restored and their number.
	Progress func(done, total int64)
}

// Restored says what was restored.
type Restored struct {
	*Manifest
	Missing int // segments
}

// Restore puts a backup into an empty metadata store. It changes nothing
// before the backup was read as a whole and found to be right; an attempt that
// is cut off can be repeated, and until one is complete the store cannot be
// served. The content store must not be in use; see AskOwner.
func Restore(ctx context.Context, o RestoreOptions) (*Restored, error) {
	m, err := choose(ctx, o.Content, o.From)
	if err != nil {
		return nil, err
	}
	r := &restorer{o: o, m: m, decoder: newDecoder()}
	defer r.decoder.Close()
	if err := r.verify(ctx); err != nil {
		return nil, err
	}
	if r.epoch > math.MaxUint32 {
		return nil, fmt.Errorf("epoch %d is out of range: %w", r.epoch, ErrDamaged)
	}
	store, err := o.Open(r.epoch)
	if err != nil {
		return nil, err
	}
	err = errors.Join(r.fill(ctx, store), store.Close())
	if err != nil {
		return nil, err
	}
	return &Restored{m, r.missing}, nil
}

// Find returns nil if the content store has the backup of a name, "" for the newest.
// It changes nothing.
func Find(ctx context.Context, store content.Store, from string) error {
	_, err := choose(ctx, store, from)
	return err
}

// choose returns the manifest of a backup of the content store's own instance.
func choose(ctx context.Context, store content.Store, from string) (*Manifest, error) {
	owner, err := store.Owner(ctx)
	if err != nil {
		return nil, fmt.Errorf("content store: %w", err)
	}
	if from == "" {
		err := store.List(ctx, manifestPrefix, func(id string, _ int64) error {
			name := strings.TrimPrefix(id, manifestPrefix)
			number, ok := parseName(name)
			if best, _ := parseName(from); ok && (from == "" || number >= best) {
				from = name
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("content store: %w", err)
		}
	}
	if from == "" {
		return nil, ErrNone
	}
	m, err := read(ctx, store, from)
	if errors.Is(err, content.ErrNotFound) {
		err = fmt.Errorf("there is no backup %s; \"dittofs backup list\" shows them", from)
	}
	if err != nil {
		return nil, err
	}
	if owner != m.Instance {
		return nil, fmt.Errorf("backup %s is of instance %s, and the content store belongs to %q: %w",
			m.Name, m.Instance, owner, ErrDamaged)
	}
	return m, nil
}

type restorer struct {
	o       RestoreOptions
	m       *Manifest
	decoder *zstd.Decoder

	epoch      uint64 // above all that was used
	generation uint64 // above all that there were
	missing    int
	done       int64
}

// verify reads the whole backup, and looks for its segments.
func (r *restorer) verify(ctx context.Context) error {
	if err := r.segments(ctx); err != nil {
		return err
	}
	if r.missing > 0 && !r.o.AllowMissing {
		return fmt.Errorf("backup %s: %d of %d: %w", r.m.Name, r.missing, len(r.m.Segments), ErrMissing)
	}
	generation, err := lastRestore(ctx, r.o.Content)
	if err != nil {
		return err
	}
	r.generation = max(generation, r.m.Generation) + 1
	sizes, err := chunkSizes(ctx, r.o.Content)
	if err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	for i := range r.m.Chunks {
		c := &r.m.Chunks[i]
		if size, ok := sizes[c.Sum]; !ok || size != c.Size {
			return fmt.Errorf("backup %s: %s has %d bytes, not %d: %w", r.m.Name, c.object(), size, c.Size, ErrDamaged)
		}
	}
	return r.eachChunk(ctx, func([]meta.Pair) error { return nil })
}

// segments compares the objects with the manifest and finds the epoch.
func (r *restorer) segments(ctx context.Context) error {
	want := make(map[string]int64, len(r.m.Segments))
	for _, g := range r.m.Segments {
		want[g.ID.Object()] = g.Size
	}
	r.epoch = r.m.Epoch + 1
	err := r.o.Content.List(ctx, format.SegmentPrefix, func(id string, size int64) error {
		if s, ok := want[id]; ok && s == size {
			delete(want, id)
		}
		if epoch, ok := format.ObjectEpoch(id); ok {
			r.epoch = max(r.epoch, epoch+1)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	r.missing = len(want)
	return nil
}

// eachChunk calls f with the pairs of each chunk, in order.
func (r *restorer) eachChunk(ctx context.Context, f func([]meta.Pair) error) error {
	var last []byte
	for i := range r.m.Chunks {
		c := &r.m.Chunks[i]
		object, err := readObject(ctx, r.o.Content, c.object(), maxObject)
		if err != nil {
			return fmt.Errorf("backup %s: %w", r.m.Name, err)
		}
		pairs, err := unseal(r.decoder, object, *c)
		if err == nil && len(pairs) > 0 {
			if bytes.Compare(last, pairs[0].Key) >= 0 {
				err = fmt.Errorf("chunks are not in order: %w", ErrDamaged)
			}
			last = pairs[len(pairs)-1].Key
		}
		if err != nil {
			return fmt.Errorf("backup %s: chunk %d (%s): %w", r.m.Name, i+1, c.object(), err)
		}
		if err := f(pairs); err != nil {
			return err
		}
	}
	return nil
}

// fill writes the backup into an empty store. The mark that it is not complete
// comes first and goes last.
func (r *restorer) fill(ctx context.Context, store meta.Store) error {
	if err := makeEmpty(ctx, store, r.o.Ignore); err != nil {
		return err
	}
	b := &meta.Batch{}
	b.Put(restoringKey, []byte(r.m.Name))
	if err := store.Apply(ctx, b); err != nil {
		return err
	}
	err := r.eachChunk(ctx, func(pairs []meta.Pair) error {
		b := &meta.Batch{}
		for _, p := range pairs {
			b.Put(p.Key, p.Value)
		}
		r.done += int64(len(pairs))
		if r.o.Progress != nil {
			r.o.Progress(r.done, r.m.Pairs())
		}
		return store.Apply(ctx, b)
	})
	if err != nil {
		return err
	}
	if err := r.recordSegments(ctx, store); err != nil {
		return err
	}
	if err := putRestore(ctx, r.o.Content, r.generation, r.m.Name); err != nil {
		return err
	}
	b = &meta.Batch{}
	b.Put(generationKey, binary.BigEndian.AppendUint64(nil, r.generation))
	b.Delete(restoringKey)
	return store.Apply(ctx, b)
}

// recordSegments tells the index that the segments are in the content store: of
// some it did not know yet when the snapshot was taken.
func (r *restorer) recordSegments(ctx context.Context, store meta.Store) error {
	b := &meta.Batch{}
	for i, g := range r.m.Segments {
		p := g.IndexEntry()
		b.Put(p.Key, p.Value)
		if b.Bytes() >= maxChunk || i == len(r.m.Segments)-1 {
			if err := store.Apply(ctx, b); err != nil {
				return err
			}
			b = &meta.Batch{}
		}
	}
	return nil
}

// makeEmpty removes what an attempt that was cut off has left, and refuses
// anything else.
func makeEmpty(ctx context.Context, store meta.Store, ignore []byte) error {
	values, err := store.Get(ctx, restoringKey)
	if err != nil {
		return err
	}
	for {
		pairs, err := store.Scan(ctx, meta.Range{}, scanPage)
		if err != nil || len(pairs) == 0 {
			return err
		}
		if values[0] == nil && (len(pairs) > 1 || !bytes.Equal(pairs[0].Key, ignore)) {
			return fmt.Errorf("%w: restore into a new one, or move the old one away first", ErrNotEmpty)
		}
		b := &meta.Batch{}
		for _, p := range pairs {
			if !bytes.Equal(p.Key, restoringKey) {
				b.Delete(p.Key)
			}
		}
		if b.Len() == 0 {
			return nil
		}
		if err := store.Apply(ctx, b); err != nil {
			return err
		}
	}
}

// restorePrefix begins the names of the objects that say that a restore was
// done: the generation of the metadata in hexadecimal digits.
const restorePrefix = "restores/done/"

// lastRestore is the highest generation of metadata that there has been.
func lastRestore(ctx context.Context, store content.Store) (generation uint64, err error) {
	err = store.List(ctx, restorePrefix, func(id string, _ int64) error {
		n, err := strconv.ParseUint(strings.TrimPrefix(id, restorePrefix), 16, 63)
		if err == nil {
			generation = max(generation, n)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("content store: %w", err)
	}
	return generation, nil
}

func putRestore(ctx context.Context, store content.Store, generation uint64, name string) error {
	id := fmt.Sprintf("%s%016x", restorePrefix, generation)
	if err := store.Put(ctx, id, strings.NewReader(name), int64(len(name))); err != nil {
		return fmt.Errorf("content store: %w", err)
	}
	return nil
}

// Inspect reads how often a metadata store was restored, and ErrIncomplete if the
// last time was not completed.
func Inspect(ctx context.Context, r meta.Reader) (generation uint64, err error) {
	values, err := r.Get(ctx, generationKey, restoringKey)
	switch {
	case err != nil:
		return 0, err
	case values[1] != nil:
		return 0, fmt.Errorf("%w (from backup %s): run \"dittofs restore\" again", ErrIncomplete, values[1])
	case values[0] == nil:
		return 0, nil
	case len(values[0]) != 8:
		return 0, fmt.Errorf("the generation has %d bytes: %w", len(values[0]), meta.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(values[0]), nil
}
