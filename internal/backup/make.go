package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
)

// ErrBusy means that a backup is being made already.
var ErrBusy = errors.New("a backup is being made already")

const (
	// scanPage is how many pairs are read at once: 16 MiB at most.
	scanPage = 256
	// writers bounds the chunks on their way to the content store.
	writers = 4
	// loadRetry is the pause before the manifests are asked for again.
	loadRetry = 10 * time.Second
)

// Options of a Maker. Log, Content, Instance and Keep are required.
type Options struct {
	Log      *commit.Log
	Content  content.Store
	Instance string
	// Generation is what Inspect says of the metadata.
	Generation uint64
	// Keep is how many backups stay: the newest.
	Keep int
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// Maker makes the backups of one server. Safe for concurrent use.
type Maker struct {
	opts   Options
	data   *data.Store // set by Start
	pins   pins
	turn   sync.Mutex // held by a backup
	mu     sync.Mutex // guards status
	status Status
}

// Status is what metrics show.
type Status struct {
	// RecoveryPoint is the moment up to which everything is in a backup; zero
	// if there is none.
	RecoveryPoint time.Time
	Kept          int
	Made, Failed  uint64
	LastErr       error // why the last attempt failed; nil if it did not
	LastTook      time.Duration
	LastWritten   int64 // bytes of chunks
	Written       int64 // of all since the start
	batches       uint64
}

// New returns a Maker whose Pinned is what the data store is opened with.
func New(o Options) *Maker {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Maker{opts: o}
}

// Pinned says whether a segment must stay for a backup. Until Start has read
// the manifests it is any.
func (m *Maker) Pinned(id format.SegmentID) bool { return m.pins.has(id) }

// Start tells the Maker the data store, and reads the manifests of the content
// store as soon as that can be reached, until ctx ends. A start of the server
// does not wait for it.
func (m *Maker) Start(ctx context.Context, store *data.Store) {
	m.data = store
	for {
		m.turn.Lock()
		_, err := m.load(ctx)
		m.turn.Unlock()
		if err == nil {
			store.Reconsider()
			return
		}
		m.opts.Logger.Warn("the backups in the content store cannot be listed; nothing is deleted there until they are",
			"error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(loadRetry):
		}
	}
}

// load reads what backups there are. The caller holds turn.
func (m *Maker) load(ctx context.Context) ([]Entry, error) {
	entries, err := List(ctx, m.opts.Content)
	if err != nil {
		return nil, err
	}
	m.pins.set(entries)
	var point time.Time
	for _, e := range entries {
		if e.Err != nil {
			m.opts.Logger.Error("a backup cannot be read; while it is kept nothing is deleted from the content store",
				"backup", e.Name, "error", e.Err)
		} else {
			point = e.Moment
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Kept = len(entries)
	if m.status.RecoveryPoint.Before(point) {
		m.status.RecoveryPoint = point
	}
	return entries, nil
}

// Status returns the state of the moment.
func (m *Maker) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// Progress is how far a backup is.
type Progress struct {
	Pairs   int64 `json:"keys"`
	Written int64 `json:"written_bytes"`
}

// Run makes a backup and removes those that are not kept any longer. progress,
// which may be nil, is called now and then.
func (m *Maker) Run(ctx context.Context, progress func(Progress)) (*Manifest, error) {
	if !m.turn.TryLock() {
		return nil, ErrBusy
	}
	defer m.turn.Unlock()
	return m.run(ctx, progress)
}

// RunIfChanged is Run, unless nothing was changed since the last backup of this
// Maker: then the recovery point is now, and the result is nil.
func (m *Maker) RunIfChanged(ctx context.Context) (*Manifest, error) {
	if !m.turn.TryLock() {
		return nil, ErrBusy
	}
	defer m.turn.Unlock()
	now := time.Now()
	m.mu.Lock()
	_, batches, pending := m.opts.Log.Stats()
	same := m.status.Made > 0 && m.status.batches == batches && pending == 0
	if same {
		m.status.RecoveryPoint, m.status.LastErr = now, nil
	}
	m.mu.Unlock()
	if same {
		return nil, nil
	}
	return m.run(ctx, nil)
}

func (m *Maker) run(ctx context.Context, progress func(Progress)) (*Manifest, error) {
	began := time.Now()
	_, batches, _ := m.opts.Log.Stats() // before the snapshot: rather once too often
	made, err := m.make(ctx, progress)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.status
	if err != nil {
		s.Failed++
		if ctx.Err() == nil { // else somebody has stopped it
			s.LastErr = err
		}
		return nil, err
	}
	s.Made++
	s.LastErr = nil
	s.batches, s.RecoveryPoint, s.LastTook, s.LastWritten = batches, made.Moment, time.Since(began), made.Written
	s.Written += made.Written
	return made, nil
}

func (m *Maker) make(ctx context.Context, progress func(Progress)) (*Manifest, error) {
	entries, err := m.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("content store: %w", err)
	}
	sizes, err := chunkSizes(ctx, m.opts.Content)
	if err != nil {
		return nil, fmt.Errorf("content store: %w", err)
	}
	release, err := m.data.PinAll(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	made := &Manifest{
		Number: 1, Instance: m.opts.Instance, Epoch: m.opts.Log.Epoch(), Generation: m.opts.Generation,
		Moment: time.Now().UTC(),
	}
	if n := len(entries); n > 0 {
		made.Number = entries[n-1].Number + 1
	}
	made.Name = name(made.Number, made.Moment)
	if err := m.write(ctx, made, known(entries, sizes), progress); err != nil {
		return nil, err
	}
	b, err := made.encode()
	if err != nil {
		return nil, err
	}
	if err := m.opts.Content.Put(ctx, manifestPrefix+made.Name, bytes.NewReader(b), int64(len(b))); err != nil {
		return nil, fmt.Errorf("content store: %w", err)
	}
	m.pins.add(made)
	m.retain(ctx, append(entries, Entry{Manifest: made}), sizes)
	return made, nil
}

// known are the chunks of the last backup that the content store has.
func known(entries []Entry, sizes map[[32]byte]int64) map[[32]byte]Chunk {
	chunks := map[[32]byte]Chunk{}
	for _, e := range entries {
		for _, c := range e.Chunks {
			if sizes[c.Sum] == c.Size {
				chunks[c.Sum] = c
			}
		}
	}
	return chunks
}

// write writes the chunks of a snapshot and fills in what the manifest says of
// them. It returns when the content store has them and all segments that they
// refer to.
func (m *Maker) write(ctx context.Context, made *Manifest, known map[[32]byte]Chunk, progress func(Progress)) error {
	snap, err := m.opts.Log.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("metadata store: %w", err)
	}
	w := &writer{
		store: m.opts.Content, made: made, known: known, progress: progress, refs: map[format.SegmentID]struct{}{},
		encoder: newEncoder(),
	}
	defer w.encoder.Close()
	err = errors.Join(w.all(ctx, snap), snap.Close())
	if err != nil {
		return err
	}
	if w.damaged > 0 {
		m.opts.Logger.Error("the metadata has damaged extents; the backup has them too", "extents", w.damaged)
	}
	ids := make([]format.SegmentID, 0, len(w.refs))
	for id := range w.refs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	made.Segments, err = m.data.EnsureStored(ctx, ids)
	if lost := len(ids) - len(made.Segments); err == nil && lost > 0 {
		m.opts.Logger.Error("files refer to segments that are missing; the backup does too", "segments", lost)
	}
	return err
}

// writer writes the chunks of one backup.
type writer struct {
	store    content.Store
	made     *Manifest
	known    map[[32]byte]Chunk
	refs     map[format.SegmentID]struct{}
	progress func(Progress)
	encoder  *zstd.Encoder
	damaged  int // extents

	mu    sync.Mutex // guards made
	pairs int64
	group *errgroup.Group
}

// all reads the snapshot once, in order.
func (w *writer) all(ctx context.Context, r meta.Reader) error {
	w.group, ctx = errgroup.WithContext(ctx)
	w.group.SetLimit(writers)
	err := w.scan(ctx, r)
	// An error of a writer ends the scan: that is the cause.
	if writing := w.group.Wait(); writing != nil {
		return writing
	}
	return err
}

func (w *writer) scan(ctx context.Context, r meta.Reader) error {
	var cut chunker
	for next := (meta.Range{}); ; {
		pairs, err := r.Scan(ctx, next, scanPage)
		if err != nil {
			return fmt.Errorf("metadata store: %w", err)
		}
		for _, p := range pairs {
			w.note(p)
			if cut.add(p) {
				raw, c := cut.take()
				w.put(ctx, raw, c)
			}
		}
		if len(pairs) < scanPage {
			break
		}
		next.Start = append(pairs[len(pairs)-1].Key, 0)
	}
	if cut.pairs > 0 {
		raw, c := cut.take()
		w.put(ctx, raw, c)
	}
	return nil
}

// note remembers the segment that a pair refers to.
func (w *writer) note(p meta.Pair) {
	switch id, err := data.Refers(p); {
	case err != nil:
		w.damaged++
	case id != 0:
		w.refs[id] = struct{}{}
	}
}

// put adds a chunk to the manifest, and writes it unless it is there.
func (w *writer) put(ctx context.Context, raw []byte, c Chunk) {
	w.mu.Lock()
	at := len(w.made.Chunks)
	before, known := w.known[c.Sum]
	c.Size = before.Size
	w.made.Chunks = append(w.made.Chunks, c)
	w.pairs += c.Pairs
	reached := Progress{Pairs: w.pairs, Written: w.made.Written}
	w.mu.Unlock()
	if w.progress != nil {
		w.progress(reached)
	}
	if known {
		return
	}
	w.group.Go(func() error {
		size, err := w.upload(ctx, raw, c)
		if err != nil {
			return fmt.Errorf("content store: %w", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.made.Chunks[at].Size = size
		w.made.Written += size
		return nil
	})
}

// upload writes a chunk. One that is there from a backup that was not completed
// may have been compressed by another version: if it is whole it serves, else
// nothing refers to it and it is replaced.
func (w *writer) upload(ctx context.Context, raw []byte, c Chunk) (size int64, err error) {
	object := seal(w.encoder, raw)
	put := func() error {
		return w.store.Put(ctx, c.object(), bytes.NewReader(object), int64(len(object)))
	}
	err = put()
	if !errors.Is(err, content.ErrExists) {
		return int64(len(object)), err
	}
	old, err := readObject(ctx, w.store, c.object(), maxObject)
	if err == nil {
		if _, err = unseal(newDecoder(), old, c); err == nil {
			return int64(len(old)), nil
		}
	}
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
		return 0, err
	}
	if err := w.store.Delete(ctx, c.object()); err != nil {
		return 0, err
	}
	return int64(len(object)), put()
}

// retain removes all backups but the newest, then what only they referred to.
// What fails is tried again by the next backup.
func (m *Maker) retain(ctx context.Context, entries []Entry, sizes map[[32]byte]int64) {
	kept := entries[max(0, len(entries)-max(m.opts.Keep, 1)):]
	for _, e := range entries[:len(entries)-len(kept)] {
		if err := m.opts.Content.Delete(ctx, manifestPrefix+e.Name); err != nil {
			m.opts.Logger.Warn("an old backup could not be removed", "backup", e.Name, "error", err)
			return
		}
		m.pins.remove(e.Name)
	}
	m.mu.Lock()
	m.status.Kept = len(kept)
	m.mu.Unlock()
	for _, e := range kept {
		if e.Err != nil {
			return // nobody knows which chunks it refers to
		}
		for _, c := range e.Chunks {
			delete(sizes, c.Sum)
		}
	}
	for sum := range sizes {
		if err := m.opts.Content.Delete(ctx, Chunk{Sum: sum}.object()); err != nil {
			m.opts.Logger.Warn("a chunk of an old backup could not be removed", "error", err)
			return
		}
	}
}
