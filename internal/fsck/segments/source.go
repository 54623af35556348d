package segments

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/data/format"
	"github.com/dittofs/dittofs/internal/disk"
	"github.com/dittofs/dittofs/internal/fault"
)

// Source reads segments without a Store, from the journal's directory and the
// content store. It changes nothing, and may be used beside a Store that does:
// what moves meanwhile is found in the other place.
type Source struct {
	Dir      string // cache.path of the configuration
	Content  content.Store
	Instance string
	// CachePages is that of the Store: files of the journal whose segments are
	// in the content store are copies of some pages, and prove nothing.
	CachePages bool
	// Disk holds Dir; default disk.OS.
	Disk disk.FS
}

func (s *Source) disk() disk.FS {
	if s.Disk == nil {
		return disk.OS{}
	}
	return s.Disk
}

func (s *Source) path(id format.SegmentID) string {
	return filepath.Join(s.Dir, format.JournalDir, id.FileName())
}

// openSegment is a segment that was found.
type openSegment struct {
	io.Closer
	read func(ctx context.Context, p []byte, off int64) (int, error)
	size int64
	near bool // on this machine: single records are cheap to read
}

// at reads the segment within the call of ctx.
func (s *openSegment) at(ctx context.Context) io.ReaderAt {
	return readAtFunc(func(p []byte, off int64) (int, error) { return s.read(ctx, p, off) })
}

// readAtFunc is a function that is an io.ReaderAt.
type readAtFunc func(p []byte, off int64) (int, error)

func (f readAtFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// segmentFault is what is wrong with a segment as a whole. It is not an error
// of the store.
type segmentFault struct{ kind, what string }

func (f *segmentFault) Error() string { return f.what }

// open finds a segment by its record; a *segmentFault says that it is not what
// the record says.
func (s *Source) open(ctx context.Context, id format.SegmentID, rec format.SegmentEntry) (*openSegment, error) {
	if rec.State == format.Stored && s.CachePages {
		return s.openObject(ctx, id, rec)
	}
	file, err := s.openFile(id)
	if err == nil && (rec.State == 0 || file.size == rec.Size) {
		return file, nil
	}
	if err == nil {
		err = errors.Join(fs.ErrNotExist, file.Close())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if rec.State == 0 {
		return nil, &segmentFault{
			FaultMissing, fmt.Sprintf("segment %v is missing: the journal has no file %s", id, filepath.Base(s.path(id))),
		}
	}
	return s.openObject(ctx, id, rec)
}

func (s *Source) openFile(id format.SegmentID) (*openSegment, error) {
	f, err := s.disk().OpenFile(s.path(id), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	read := func(_ context.Context, p []byte, off int64) (int, error) { return f.ReadAt(p, off) }
	return &openSegment{Closer: f, read: read, size: size, near: true}, nil
}

func (s *Source) openObject(ctx context.Context, id format.SegmentID, rec format.SegmentEntry) (*openSegment, error) {
	size, err := s.Content.Size(ctx, id.Object())
	switch {
	case errors.Is(err, content.ErrNotFound):
		return nil, &segmentFault{
			FaultMissing, fmt.Sprintf("segment %v is missing: it is neither in the journal nor in the content store (%s)",
				id, id.Object()),
		}
	case err != nil:
		return nil, fmt.Errorf("content store: %w", err)
	case size != rec.Size:
		return nil, &segmentFault{
			FaultFooter, fmt.Sprintf("segment %v has %d bytes in the content store (%s), it was sealed with %d",
				id, size, id.Object(), rec.Size),
		}
	}
	_, near := content.As[content.Local](s.Content)
	read := func(ctx context.Context, p []byte, off int64) (int, error) {
		n, err := s.Content.ReadAt(ctx, id.Object(), p, off)
		if errors.Is(err, content.ErrNotFound) { // it was there when its size was asked for
			err = fmt.Errorf("%w: %w", err, format.ErrCorrupt)
		}
		return n, err
	}
	return &openSegment{Closer: nothing{}, read: read, size: size, near: near}, nil
}

// nothing has nothing to close.
type nothing struct{}

func (nothing) Close() error { return nil }

// journalFiles lists the segments that have a file in the journal.
func (s *Source) journalFiles() (ids []format.SegmentID, err error) {
	entries, err := s.disk().ReadDir(filepath.Join(s.Dir, format.JournalDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if id, ok := format.ParseFileName(e.Name()); ok {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// deepChunk is what a deep examination reads at once, in bytes.
const deepChunk = 1 << 20

// deepReader reads a segment in chunks, no faster than at a rate. Bytes that
// the disk does not give are zeros, which no checksum takes for the right
// ones; a store that cannot be asked is an error.
type deepReader struct {
	from *openSegment
	rate *pace
	buf  []byte
}

// read returns n bytes, at most deepChunk, until it is called again.
func (r *deepReader) read(ctx context.Context, at int64, n int) ([]byte, error) {
	if r.buf == nil {
		r.buf = make([]byte, deepChunk)
	}
	chunk := r.buf[:n]
	if err := r.rate.wait(ctx, n); err != nil {
		return nil, err
	}
	unreadable, err := r.readAt(ctx, chunk, at)
	for i := 0; unreadable && i < n && err == nil; i += format.BlockSize {
		var lost bool
		part := chunk[i:min(i+format.BlockSize, n)]
		if lost, err = r.readAt(ctx, part, at+int64(i)); lost {
			clear(part)
		}
	}
	return chunk, err
}

// readAt tells bytes that are damaged from a store that is away.
func (r *deepReader) readAt(ctx context.Context, p []byte, off int64) (unreadable bool, err error) {
	_, err = r.from.read(ctx, p, off)
	if err == nil || ctx.Err() != nil || fault.Of(err) != nil {
		return false, err
	}
	return true, nil
}

// pace bounds how many bytes are read each second.
type pace struct {
	rate int64 // 0 for no bound
	next time.Time
}

// wait returns when n more bytes may be read.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	timer := time.NewTimer(time.Until(p.next))
	defer timer.Stop()
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
