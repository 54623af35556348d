// Package meta is the contract of the metadata store: an ordered map of byte
// keys with atomic, durable, fenced batches. It knows nothing of inodes; the
// vfs gives keys their meaning and provides isolation by its own locks, which
// keeps a backend at a few hundred lines.
//
// Example: one directory entry and its inode become visible together.
//
//	b := &meta.Batch{}
//	b.Put(direntKey, ino)
//	b.Put(inodeKey, attributes)
//	err := store.Apply(ctx, b)
package meta

import (
	"context"
	"errors"
)

// Limits that every backend supports and every caller keeps.
const (
	MaxKey   = 512      // bytes
	MaxValue = 64 << 10 // bytes
	MaxBatch = 16 << 20 // bytes of keys and values in one batch
)

// Errors of a Store, matched with errors.Is.
var (
	// ErrFenced: another instance has taken the store over. Nothing can be
	// committed by this one ever again.
	ErrFenced = errors.New("metadata store is owned by another instance")
	// ErrLocked: another process holds the store open (returned when opening).
	ErrLocked = errors.New("metadata store is in use by another process")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("metadata store is closed")
	// ErrCorrupt: the store's own data fails its checks.
	ErrCorrupt = errors.New("metadata store is damaged")
	// ErrFormat: the store was written by an unknown (newer) format.
	ErrFormat = errors.New("metadata store has an unknown format")
)

// Reader reads the current state. Slices returned belong to the caller.
type Reader interface {
	// Get returns one value per key, in order; nil where the key is absent
	// (a present empty value is a non-nil empty slice). One round trip; none
	// without keys, which only asks whether the store can be read: it is not
	// closed, and is not known to belong to another instance.
	Get(ctx context.Context, keys ...[]byte) ([][]byte, error)
	// Scan returns at most limit pairs with r.Start <= key < r.End in
	// ascending order, or in descending order if r.Reverse. limit >= 1.
	Scan(ctx context.Context, r Range, limit int) ([]Pair, error)
}

// Snapshotter takes snapshots.
type Snapshotter interface {
	// Snapshot returns the store as it is now, between two batches: it holds
	// every batch whose Apply has returned, and of those under way each whole
	// or not at all. Close it soon: it keeps the store from forgetting what
	// was deleted since. There may be several at once.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Snapshot is a store as it was at one moment. Safe for concurrent use. Once it
// or its store is closed, reads return ErrClosed.
type Snapshot interface {
	Reader
	// Close frees what the snapshot holds. Further calls do nothing, also
	// after the store was closed.
	Close() error
}

// Store is a metadata store. Safe for concurrent use.
type Store interface {
	Reader
	Snapshotter
	// Apply makes all of b's changes visible and durable at once, or none of
	// them. It is durable on return. Operations take effect in the order in
	// which they were added. Once another instance owns the store it returns
	// ErrFenced. After any other error it is unknown whether the batch was
	// applied; callers treat that as fatal unless they retry the same batch.
	// b must not hold Adds: package commit resolves them before.
	Apply(ctx context.Context, b *Batch) error
	// Epoch is the number of this ownership of the store: it grew by at
	// least one, durably, when the store was opened, and is 1 at first.
	Epoch() uint64
	// Close releases the store. Apply and reads return ErrClosed afterwards.
	Close() error
}

// Range is a half-open interval of keys. A nil End means no upper bound.
type Range struct {
	Start, End []byte
	Reverse    bool
}

// PrefixRange is the range of all keys that begin with prefix.
func PrefixRange(prefix []byte) Range { return Range{Start: prefix, End: PrefixEnd(prefix)} }

// PrefixEnd is the first key after all keys that begin with prefix, or nil if
// there is none.
func PrefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// Pair is a key with its value.
type Pair struct{ Key, Value []byte }

// OpKind is the kind of one change.
type OpKind uint8

// Kinds of changes. OpAdd never reaches a Store.
const (
	OpPut OpKind = iota + 1
	OpDelete
	OpAdd
)

// Op is one change of a batch.
type Op struct {
	Kind  OpKind
	Key   []byte
	Value []byte // OpPut
	Delta int64  // OpAdd
}

// Batch collects changes. The zero value is empty and ready. Keys and values
// are kept by reference and must not be changed afterwards.
type Batch struct {
	Ops   []Op
	bytes int
}

// Put sets key to value.
func (b *Batch) Put(key, value []byte) {
	b.Ops = append(b.Ops, Op{Kind: OpPut, Key: key, Value: value})
	b.bytes += len(key) + len(value)
}

// Delete removes key; absent keys are no error.
func (b *Batch) Delete(key []byte) {
	b.Ops = append(b.Ops, Op{Kind: OpDelete, Key: key})
	b.bytes += len(key)
}

// Add adds delta to the counter at key: an absent counter is 0, a stored one
// is 8 bytes, big endian, two's complement. Batches that are committed
// together are summed, so that counters do not serialise their writers.
func (b *Batch) Add(key []byte, delta int64) {
	b.Ops = append(b.Ops, Op{Kind: OpAdd, Key: key, Delta: delta})
	b.bytes += len(key) + 8
}

// Len is the number of changes.
func (b *Batch) Len() int { return len(b.Ops) }

// Bytes is the size of keys and values.
func (b *Batch) Bytes() int { return b.bytes }

// Append adds all changes of o after those of b.
func (b *Batch) Append(o *Batch) {
	b.Ops = append(b.Ops, o.Ops...)
	b.bytes += o.bytes
}
