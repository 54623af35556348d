package vfs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/commit"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/space"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// Options are the parts that an FS is made of.
type Options struct {
	Log *commit.Log
	// Data opens the store of the bytes of these files. Who opens it closes it, after
	// the FS.
	Data   data.Opener
	Logger *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
	// MaxNodes bounds the inodes kept in memory; default 65536. Inodes in use
	// or with unsynced data are kept above it.
	MaxNodes int
	// MaxNames bounds the directory entries kept in memory beside those in the
	// log's cache, absent ones above all; default 32768.
	MaxNames int
	// Remote says that stable data is in the content store when it is
	// acknowledged: durability "remote".
	Remote bool
	// Capacity reports the bytes of the store under the data; default: no bounds.
	Capacity func() (total, free uint64, err error)
	// Reserve keeps the last bytes of the disk that holds the metadata; nil for
	// nothing.
	Reserve *space.Reserve
}

// FS is a filesystem over a metadata log and a data store. It implements
// FileSystem. Safe for concurrent use.
type FS struct {
	log      *commit.Log
	data     *data.Store
	logger   *slog.Logger
	now      func() Time
	capacity func() (total, free uint64, err error)
	reserve  *space.Reserve
	remote   bool
	verifier Verifier
	handles  *Handles

	nodes *nodeCache
	names *nameCache
	alloc allocator

	// renameMu orders renames of directories between directories: while it is
	// held the ancestors of no directory change.
	renameMu sync.Mutex

	shares sync.Map // uint32 -> *shareState

	wakeReaper chan struct{}
	stop       context.CancelFunc
	stopped    sync.WaitGroup
}

// shareState is what the filesystem keeps of a share in memory.
type shareState struct {
	id          uint32
	root        ID
	usedBytes   atomic.Int64
	usedInodes  atomic.Int64
	quotaBytes  atomic.Int64 // 0: none
	quotaInodes atomic.Int64
	granting    sync.Mutex // bytes under a quota; taken under an inode's lock
}

var _ FileSystem = (*FS)(nil)

// Open makes the filesystem over its stores: reads its settings (writing them
// on first use) and begins to reclaim the data of removed files.
func Open(ctx context.Context, opt Options) (*FS, error) {
	clock := opt.Now
	if clock == nil {
		clock = time.Now
	}
	if opt.MaxNodes == 0 {
		opt.MaxNodes = 1 << 16
	}
	if opt.MaxNames == 0 {
		opt.MaxNames = 1 << 15
	}
	fs := &FS{
		log:        opt.Log,
		logger:     opt.Logger,
		now:        func() Time { return TimeOf(clock()) },
		capacity:   opt.Capacity,
		reserve:    opt.Reserve,
		remote:     opt.Remote,
		names:      newNameCache(opt.MaxNames),
		wakeReaper: make(chan struct{}, 1),
	}
	fs.nodes = newNodeCache(opt.MaxNodes, fs.loadNode)
	if _, err := rand.Read(fs.verifier[:]); err != nil {
		return nil, err
	}
	files := dataFiles{fs, make(chan struct{})}
	var err error
	if fs.data, err = opt.Data(files); err != nil {
		return nil, err
	}
	if err := fs.loadSettings(ctx); err != nil {
		return nil, err
	}
	close(files.ready)
	fs.startReaper()
	return fs, nil
}

// Data is the store of the bytes.
func (fs *FS) Data() *data.Store { return fs.data }

// Close stops the background work. The stores are closed by their owner.
func (fs *FS) Close() {
	fs.stop()
	fs.stopped.Wait()
}

// Handles is the codec of this filesystem's file handles.
func (fs *FS) Handles() *Handles { return fs.handles }

// WriteVerifier returns the verifier of this start of the server (RFC 1813
// section 3.3.7): unstable data is lost only when the process ends, so it is
// chosen once, at random.
func (fs *FS) WriteVerifier() Verifier { return fs.verifier }

const formatVersion = 1

var (
	keyFormat = []byte(keys.Format)
	keySecret = []byte(keys.HandleKey)
	keyInodes = []byte(keys.NextInode)
	keyShares = []byte(keys.NextShare)
)

// loadSettings reads, or makes on first use, the settings of the filesystem.
func (fs *FS) loadSettings(ctx context.Context) error {
	got, err := fs.log.Get(ctx, keyFormat, keySecret, keyInodes)
	if err != nil {
		return err
	}
	if got[0] == nil {
		secret := make([]byte, 16)
		if _, err := rand.Read(secret); err != nil {
			return err
		}
		got = [][]byte{layout.EncodeNumber(formatVersion), secret, layout.EncodeNumber(1)}
		b := &meta.Batch{}
		b.Put(keyFormat, got[0])
		b.Put(keySecret, got[1])
		b.Put(keyInodes, got[2])
		b.Put(keyShares, layout.EncodeNumber(1))
		if err := fs.log.Submit(b).Wait(); err != nil {
			return err
		}
	}
	if v := layout.DecodeNumber(got[0]); v != formatVersion {
		return fmt.Errorf("%w: filesystem format %d, this server knows %d", meta.ErrFormat, v, formatVersion)
	}
	if len(got[2]) != 8 {
		return fmt.Errorf("%w: next inode number", meta.ErrCorrupt)
	}
	fs.alloc.init(binary.BigEndian.Uint64(got[2]))
	fs.handles, err = NewHandles(got[1])
	return err
}

// allocator hands out inode numbers, which are never used twice. It reserves
// them in blocks.
type allocator struct {
	mu       sync.Mutex
	next     uint64
	reserved uint64
}

const inodeBlock = 4096

func (a *allocator) init(next uint64) { a.next, a.reserved = next, next }

// take returns a new number. A reservation is submitted on its own, before
// the batch that uses the number, so that it cannot be lost with that batch.
func (a *allocator) take(log *commit.Log) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.next
	a.next++
	if a.next > a.reserved {
		a.reserved = a.next + inodeBlock
		b := &meta.Batch{}
		b.Put(keyInodes, layout.EncodeNumber(a.reserved))
		log.Submit(b)
	}
	return n
}

// errno maps an internal failure to the closed set of the vfs: what is not
// one of its own is an EIO, logged here with its cause.
func (fs *FS) errno(op string, ino uint64, err error) error {
	var e Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, data.ErrNoSpace), errors.Is(err, space.ErrLow):
		return ENOSPC
	case errors.Is(err, data.ErrWouldBlock):
		return ErrWouldBlock
	case errors.Is(err, data.ErrBusy), errors.Is(err, data.ErrNotStored), fault.Of(err) != nil, disk.Scarce(err), // nothing is lost: it is there later
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return EJUKEBOX
	}
	fs.logger.Error("operation failed", "op", op, "inode", ino, "error", err)
	return EIO
}

// settle waits until what was submitted is durable, and maps failures.
func (fs *FS) settle(op string, ino uint64, t commit.Ticket) error {
	if err := t.Wait(); err != nil {
		return fs.errno(op, ino, err)
	}
	return nil
}
