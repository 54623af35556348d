package data

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/extents"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/meta/commit"
)

// Files is what the store needs of the filesystem above it. Both methods take the
// locks of the inode, and may be called as soon as Open is.
type Files interface {
	// Flush makes all dirty data of an inode durable and commits it; with Remote it
	// commits what is Stored, without waiting for more.
	Flush(ctx context.Context, ino uint64) error
	// Move moves extents of an inode that a compaction has copied: those that are
	// still current come into the index in place of the old ones, durably. An inode
	// that is gone is no error.
	Move(ctx context.Context, ino uint64, moves []extents.Move) error
}

// Opener opens the store for its files.
type Opener func(Files) (*Store, error)

// Opener opens the store of these options, but for Files.
func (o Options) Opener(ctx context.Context) Opener {
	return func(f Files) (*Store, error) {
		o.Files = f
		return Open(ctx, o)
	}
}

// Options of a Store. Dir, Content, Log, Instance and Files are required.
type Options struct {
	// Dir holds the journal; cache.path of the configuration.
	Dir string
	// CacheSize bounds what the files in Dir take: segments that are not in
	// the content store, and pages of those that are; default 10 GiB.
	CacheSize int64
	// SegmentSize is the size at which segments are sealed; default 64 MiB,
	// at most an eighth of CacheSize.
	SegmentSize int64
	// Content takes sealed segments.
	Content content.Store
	// Log holds the index. The caller closes it after the Store.
	Log *commit.Log
	// Instance names the owner of Dir and Content: 32 hexadecimal digits,
	// kept in the metadata.
	Instance string
	// Volatile says that the metadata does not outlive the process: what an
	// earlier process left in Dir is removed.
	Volatile bool
	// Forgetful says that the content store is empty at every start.
	Forgetful bool
	// Logger defaults to slog.Default.
	Logger *slog.Logger
	// Files are those whose bytes these are.
	Files Files
	// OnFailure is called once, when a sync or the Log has failed and the
	// process must stop.
	OnFailure func(error)
	// Remote says that data is durable when the content store has it.
	Remote bool
	// MaxWait is how long a writer waits for room before it is told to try
	// again; default 10 s.
	MaxWait time.Duration
	// FullTimeout is how long nothing may leave a full journal before writers
	// get ErrNoSpace, and how long Sync waits with Remote; default 5 minutes.
	FullTimeout time.Duration
	// SealAfter is how long a segment is kept open without a write, or with
	// CachePages since its first; default 10 s.
	SealAfter time.Duration
	// CheckpointEvery is how long data stays dirty at most before it is
	// flushed; default 5 s.
	CheckpointEvery time.Duration
	// DeleteAfter is how long a dead segment is kept for readers that mapped
	// it before; default 5 s.
	DeleteAfter time.Duration
	// RetryEvery is the longest pause between attempts to reach the content
	// store; default 30 s.
	RetryEvery time.Duration
	// Transfers bounds the segments on their way to the content store at the
	// same time; default 4.
	Transfers int
	// Garbage is the fraction of all stored bytes that may be dead before
	// segments are rewritten; default 0.3, from 1 on none are.
	Garbage float64
	// CompactRate bounds the bytes that a compaction reads and writes in a
	// second; default 64 MiB.
	CompactRate int64
	// LayOutRun is how much of a file a reader reads in order before it counts
	// as read sequentially; default 16 MiB. If what it finds there is in pieces
	// of less than LayOutPiece on average, default 256 KiB, it is copied in
	// order after LayOutAfter, default 30 s, unless the file is written
	// before. With Garbage from 1 on nothing is.
	LayOutRun, LayOutPiece int64
	LayOutAfter            time.Duration
	// CachePages says that the content store is far away: pages that were
	// read, and segments that were handed off, stay in Dir as far as there is
	// room.
	CachePages bool
	// PageSize is the unit in which pages are fetched and evicted: a power of
	// two from 64 KiB on; default 1 MiB.
	PageSize int64
	// ReadAhead is how much is fetched ahead of a sequential reader at most, in
	// bytes; 0 for nothing.
	ReadAhead int64
	// ExtentMemory bounds the memory of clean extents; default 64 MiB.
	ExtentMemory int64
	// FooterMemory bounds the memory of footers; default 16 MiB.
	FooterMemory int64
	// MaxFiles bounds the files of Dir that are kept open: a quarter of it, at
	// most 256, for copies of stored segments, the rest for segments that are
	// not stored yet. A journal with so many is full. Default 1024, at least 32.
	MaxFiles int
	// Pinned says that a segment must stay in the content store though no file
	// uses it, because a backup refers to it; nil for none. It does not block.
	Pinned func(format.SegmentID) bool
	// MayWrite and MayRewrite say whether a new segment of so many bytes may be
	// made, for clients and for a compaction; an error says what it would take
	// the last of. They do not block; default: always.
	MayWrite, MayRewrite func(bytes int64) error
	// Disk holds Dir; default disk.OS.
	Disk disk.FS

	extentsAtOnce, batchBytes int   // see extents.Options
	maxDirty                  int64 // extents, with Remote
	maxParts                  int   // see journal.Options
	fetchMemory               int64
	keepFetched               time.Duration
}

func (o *Options) complete() error {
	always := func(int64) error { return nil }
	if o.MayWrite == nil {
		o.MayWrite = always
	}
	if o.MayRewrite == nil {
		o.MayRewrite = always
	}
	setDefault(&o.CacheSize, 10<<30)
	setDefault(&o.SegmentSize, 64<<20)
	setDefault(&o.MaxWait, 10*time.Second)
	setDefault(&o.FullTimeout, 5*time.Minute)
	setDefault(&o.SealAfter, 10*time.Second)
	setDefault(&o.CheckpointEvery, 5*time.Second)
	setDefault(&o.DeleteAfter, 5*time.Second)
	setDefault(&o.RetryEvery, 30*time.Second)
	setDefault(&o.Transfers, 4)
	setDefault(&o.Garbage, 0.3)
	setDefault(&o.CompactRate, 64<<20)
	setDefault(&o.LayOutRun, 16<<20)
	setDefault(&o.LayOutPiece, 256<<10)
	setDefault(&o.LayOutAfter, 30*time.Second)
	setDefault(&o.PageSize, 1<<20)
	setDefault(&o.ExtentMemory, 64<<20)
	setDefault(&o.FooterMemory, 16<<20)
	setDefault(&o.MaxFiles, 1024)
	setDefault(&o.maxDirty, maxDirtyExtents)
	o.MaxFiles = max(o.MaxFiles, LeastFiles)
	o.SegmentSize = min(o.SegmentSize, o.CacheSize/8, 1<<30)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Disk == nil {
		o.Disk = disk.OS{}
	}
	switch {
	case o.Dir == "" || o.Content == nil || o.Log == nil || o.Files == nil:
		return errors.New("data store: Dir, Content, Log and Files are required")
	case len(o.Instance) != format.InstanceLen:
		return fmt.Errorf("data store: instance %q is not of %d hexadecimal digits", o.Instance, format.InstanceLen)
	case o.Log.Epoch() == 0 || o.Log.Epoch() > math.MaxUint32:
		return fmt.Errorf("data store: epoch %d of the metadata is out of range", o.Log.Epoch())
	case o.SegmentSize < format.BlockSize:
		return fmt.Errorf("data store: a cache of %d bytes is too small, give it at least %d", o.CacheSize, 8*format.BlockSize)
	}
	return nil
}

// LeastFiles is the least of Options.MaxFiles that a store works with.
const LeastFiles = 32

// copyFiles is how many of MaxFiles are for copies of stored segments.
func (o *Options) copyFiles() int { return min(o.MaxFiles/4, 256) }

func setDefault[T int | int64 | float64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
