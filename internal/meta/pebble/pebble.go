// Package pebble is the embedded metadata store: an LSM tree in a local
// directory, owned by one process through a file lock.
//
// Pebble ends the process when it cannot write its log or its manifest. This
// package turns that into an error: the call that waits for the write, and
// every call after it, fails with the cause, and the server decides how to
// stop. It keeps its own records (format, epoch) under keys longer than
// meta.MaxKey, behind all that callers can name.
package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
)

// format is the layout of keys and values in the database. A store that has
// another one is refused, never guessed at.
const format = 1

// Keys of this package, above every key of a caller.
var (
	ownKeys   = bytes.Repeat([]byte{0xff}, meta.MaxKey+1)
	formatKey = append(bytes.Clone(ownKeys), "format"...)
	epochKey  = append(bytes.Clone(ownKeys), "epoch"...)
	closedKey = append(bytes.Clone(ownKeys), "closed"...) // the last epoch that ended in good order
)

// Options of a Store. The zero value is usable.
type Options struct {
	// Logger gets failures as errors and Pebble's own talk as debug; nil
	// means slog.Default().
	Logger *slog.Logger
	// CacheBytes bounds the cache of uncompressed blocks, 0 means 32 MiB.
	CacheBytes int64
	// Reserve is how much of the disk is kept for removals, 0 means 256 MiB. With
	// less, logs and tables are as much smaller.
	Reserve uint64
	// MemTableBytes is how much is held in memory before it becomes a table,
	// 0 means 16 MiB, or what Reserve allows.
	MemTableBytes uint64
	// MaxOpenFiles bounds the descriptors of tables and logs, 0 means 500. Some
	// more are open for moments (see Descriptors).
	MaxOpenFiles int
	// MinEpoch is the least that the epoch will be: for a store that takes the
	// place of one whose epochs were used.
	MinEpoch uint64
	// FS holds the directory; nil means the operating system.
	FS vfs.FS

	stallLimit time.Duration // 0 means stallLimit
	// stat describes the lock file; nil means os.Stat.
	stat func(string) (fs.FileInfo, error)
}

// Store is a metadata store in a directory.
type Store struct {
	path     string
	fs       vfs.FS // holds the directory, and changes nothing in it once that is not ours
	db       *pebble.DB
	lock     *pebble.Lock
	owned    func() error // ErrFenced if the directory is not ours
	epoch    uint64
	watch    *watch
	room     *room
	applying sync.Mutex   // between batches on their way to the log
	life     sync.RWMutex // held for reading by every call
	closed   atomic.Bool

	snapshotsMu sync.Mutex
	snapshots   map[*snapshot]struct{} // open ones
}

var (
	_ meta.Store    = (*Store)(nil)
	_ fault.Checker = (*Store)(nil)
)

// Open opens the store in dir, which is created if it does not exist. Errors
// are meta.ErrLocked if another process has it open, meta.ErrFormat if it was
// written by a newer version, meta.ErrCorrupt if it is damaged. A directory
// with other files in it is refused and left as it is.
func Open(dir string, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	disk, path := o.FS, dir
	if disk == nil {
		disk = vfs.Default
	}
	if err := prepareDirectory(disk, dir); err != nil {
		return nil, err
	}
	if o.FS == nil {
		// The lock is known to this process by its path: it must be one only.
		var err error
		if path, err = filepath.EvalSymlinks(dir); err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return nil, fmt.Errorf("metadata directory %s: %w", dir, err)
		}
	}
	lock, err := lockDirectory(disk, path)
	if err != nil {
		return nil, err
	}
	s, err := open(path, disk, lock, o)
	if err != nil {
		return nil, fmt.Errorf("open metadata store %s: %w", dir, err)
	}
	return s, nil
}

// open takes over lock, which may be nil.
func open(path string, fs vfs.FS, lock *pebble.Lock, o Options) (_ *Store, err error) {
	s := &Store{path: path, lock: lock, watch: newWatch(o.Logger), owned: func() error { return nil }}
	if o.stallLimit != 0 {
		s.watch.stallLimit = o.stallLimit
	}
	s.fs = patientFS{ownedFS{fs, s.own}, s.watch.stallLimit}
	s.room = newRoom(fs, path, o.Reserve)
	before, err := readState(fs, path)
	if err == nil && lock != nil && o.FS == nil {
		s.owned, err = ownership(path, o.stat)
	}
	if err == nil {
		err = checkLogs(fs, path)
	}
	if err == nil {
		err = s.openDB(pebbleOptions(s.fs, lock, s.watch, s.room, o))
	}
	if err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	if err := s.start(before, o.MinEpoch); err != nil {
		return nil, errors.Join(err, s.closeDB())
	}
	return s, nil
}

// openDB opens Pebble, a new database twice: the first log is made before the
// format is what the options say, and does not tell damage from its end.
func (s *Store) openDB(o *pebble.Options) error {
	names, err := s.fs.List(s.path)
	if err != nil {
		return err
	}
	isNew := !slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "marker.format-version.")
	})
	return s.watch.run(func() (err error) {
		if s.db, err = pebble.Open(s.path, o.Clone()); err != nil || !isNew {
			return classify(err)
		}
		if err := s.db.Close(); err != nil {
			return classify(err)
		}
		s.db, err = pebble.Open(s.path, o.Clone())
		return classify(err)
	})
}

// checkEmpty refuses a database that has data, but not the records of this
// package.
func (s *Store) checkEmpty() error {
	pairs, err := scan(context.Background(), s.db, meta.Range{}, 1)
	if err == nil && len(pairs) > 0 {
		err = errors.New("the directory holds a database of another program; choose an empty directory")
	}
	return err
}

// Get implements meta.Reader.
func (s *Store) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.RUnlock()
	if len(keys) >= manyKeys {
		return getMany(ctx, s.db, keys)
	}
	values := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if values[i], err = get(s.db, key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// get returns a copy of key's value, nil if it is absent.
func get(db pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, classify(err)
	}
	value := append(make([]byte, 0, len(v)), v...)
	return value, classify(closer.Close())
}

// Scan implements meta.Reader. The pairs are of one moment.
func (s *Store) Scan(ctx context.Context, r meta.Range, limit int) ([]meta.Pair, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.RUnlock()
	return scan(ctx, s.db, r, limit)
}

// scan leaves out the keys of this package.
func scan(ctx context.Context, db pebble.Reader, r meta.Range, limit int) ([]meta.Pair, error) {
	if r.End == nil || bytes.Compare(r.End, ownKeys) > 0 {
		r.End = ownKeys
	}
	if bytes.Compare(r.Start, r.End) >= 0 {
		return nil, nil
	}
	if len(r.Start) == 0 {
		r.Start = nil // Pebble takes an empty bound for a key
	}
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: r.Start, UpperBound: r.End})
	if err != nil {
		return nil, classify(err)
	}
	first, next := it.First, it.Next
	if r.Reverse {
		first, next = it.Last, it.Prev
	}
	var pairs []meta.Pair
	for ok := first(); ok && len(pairs) < limit; ok = next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(classify(err), classify(it.Close()))
		}
		pairs = append(pairs, copyPair(it.Key(), v))
	}
	if err := it.Close(); err != nil { // also what ended the iteration early
		return nil, classify(err)
	}
	return pairs, nil
}

func copyPair(key, value []byte) meta.Pair {
	both := make([]byte, 0, len(key)+len(value))
	both = append(append(both, key...), value...)
	return meta.Pair{Key: both[:len(key):len(key)], Value: both[len(key):]}
}

// Apply implements meta.Store. Calls at the same time share a sync. If ctx ends
// while the batch is on its way, the store fails: nobody knows what became of it.
func (s *Store) Apply(ctx context.Context, b *meta.Batch) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.RUnlock()
	if err := s.own(); err != nil {
		return err
	}
	return s.apply(ctx, b)
}

func (s *Store) apply(ctx context.Context, b *meta.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	pb := s.db.NewBatchWithSize(b.Bytes() + 16*b.Len() + 16)
	for i := range b.Ops {
		op := &b.Ops[i]
		var err error
		switch op.Kind {
		case meta.OpPut:
			err = pb.Set(op.Key, op.Value, nil)
		case meta.OpDelete:
			err = pb.Delete(op.Key, nil)
		default:
			err = fmt.Errorf("change %d is of kind %d; a store takes puts and deletes", i, op.Kind)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("apply batch: %w", err), pb.Close())
		}
	}
	if err := s.watch.runUntil(ctx, func() error { return s.commit(pb) }); err != nil {
		return err // the log may still refer to pb
	}
	return classify(pb.Close())
}

// commit writes pb to the log and waits for the sync.
func (s *Store) commit(pb *pebble.Batch) error {
	if err := s.enqueue(pb); err != nil {
		return s.watch.fail(err)
	}
	if err := pb.SyncWait(); err != nil {
		return s.watch.fail(err)
	}
	return s.watch.err()
}

func (s *Store) enqueue(pb *pebble.Batch) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.room.await()
	return s.db.ApplyNoSyncWait(pb, pebble.Sync)
}

// Epoch implements meta.Store.
func (s *Store) Epoch() uint64 { return s.epoch }

// Close implements meta.Store. It waits for calls in progress, but not after
// a failure, which the loss of the directory is too: then Pebble cannot be
// closed in good order. What it has written is recovered by the next Open, in
// another process, since this one keeps the lock.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return meta.ErrClosed
	}
	_ = s.own() // fails the store if the directory is lost
	if s.watch.err() == nil {
		s.life.Lock()
		defer s.life.Unlock()
	}
	if err := s.watch.err(); err != nil {
		return fmt.Errorf("not closed in good order: %w", err)
	}
	return errors.Join(s.closeSnapshots(), s.finish(), s.closeDB())
}

func (s *Store) closeDB() error {
	err := s.watch.run(func() error { return classify(s.db.Close()) })
	return errors.Join(err, s.unlock())
}

// unlock lets others have the directory, unless Pebble may still write to it.
func (s *Store) unlock() error {
	if s.lock == nil || s.watch.err() != nil {
		return nil
	}
	return s.lock.Close()
}

// enter begins a call; if it succeeds, life.RUnlock ends it.
func (s *Store) enter(ctx context.Context) error {
	s.life.RLock()
	err := ctx.Err()
	if s.closed.Load() {
		err = meta.ErrClosed
	} else if failure := s.watch.err(); failure != nil {
		err = failure
	}
	if err != nil {
		s.life.RUnlock()
	}
	return err
}
