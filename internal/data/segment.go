package data

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// segmentState is where a segment is in its life.
type segmentState int32

const (
	stateWritable segmentState = iota // active, or full and not yet sealed
	stateSealed                       // complete, local, not yet in the content store
	stateStored                       // in the content store
	stateDead                         // being deleted
	stateMissing                      // referred to, and found nowhere
)

// segment is one segment of the store, from its first record to its deletion.
type segment struct {
	id    SegmentID
	state atomic.Int32
	live  atomic.Int64 // bytes of committed extents, with batches not yet submitted
	dirty atomic.Int64 // bytes of extents in dirty maps
	// pending counts appended extents that were neither inserted nor
	// discarded, and appends in flight.
	pending atomic.Int64
	writing atomic.Int64 // appends in flight
	synced  atomic.Int64 // everything before this position is durable
	// retired is set when no further record will be appended.
	retired atomic.Bool

	local atomic.Pointer[localFile] // nil if there is no local copy
	table atomic.Pointer[pageTable] // of a sealed local copy
	rec   segmentRecord             // set before stateSealed

	// Of a writable segment, under Store.mu.
	size, capacity int64
	seed           uint32

	sync syncer
}

func (g *segment) getState() segmentState  { return segmentState(g.state.Load()) }
func (g *segment) setState(s segmentState) { g.state.Store(int32(s)) }

// quiet says whether no extent of the segment waits to be committed.
func (g *segment) quiet() bool { return g.pending.Load() == 0 && g.dirty.Load() == 0 }

// acquire returns the local file with a reference, or nil if there is none.
func (g *segment) acquire() *localFile {
	f := g.local.Load()
	if f == nil || !f.ref() {
		return nil
	}
	return f
}

// dropLocal gives up the segment's own reference to its local file.
func (g *segment) dropLocal() {
	if f := g.local.Swap(nil); f != nil {
		f.unref()
	}
	g.table.Store(nil)
}

// localFile is an open file of the journal. It stays open for readers in
// flight after the file has been moved away or removed.
type localFile struct {
	fd   int
	path string
	refs atomic.Int32
}

func openLocal(path string, flags int) (*localFile, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		f := &localFile{fd: fd, path: path}
		f.refs.Store(1)
		return f, nil
	}
}

func (f *localFile) ref() bool {
	for {
		n := f.refs.Load()
		if n == 0 {
			return false
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (f *localFile) unref() {
	if f.refs.Add(-1) == 0 {
		_ = unix.Close(f.fd) // what must be durable was synced before
	}
}

// ReadAt is that of io.ReaderAt.
func (f *localFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, &os.PathError{Op: "read", Path: f.path, Err: err}
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

func (f *localFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(f.fd, p[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, &os.PathError{Op: "write", Path: f.path, Err: err}
		}
		done += n
	}
	return done, nil
}

// writeRecord writes a header and the bytes behind it with one call.
func (f *localFile) writeRecord(head, p []byte, off int64) error {
	for {
		n, err := unix.Pwritev(f.fd, [][]byte{head, p}, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "write", Path: f.path, Err: err}
		}
		if n < len(head) {
			if _, err := f.WriteAt(head[n:], off+int64(n)); err != nil {
				return err
			}
			n = len(head)
		}
		_, err = f.WriteAt(p[n-len(head):], off+int64(n))
		return err
	}
}

func (f *localFile) datasync() error {
	for {
		err := unix.Fdatasync(f.fd)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: f.path, Err: err}
		}
		return nil
	}
}

func (f *localFile) fileSize() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: f.path, Err: err}
	}
	return st.Size, nil
}

func (f *localFile) truncate(size int64) error {
	if err := unix.Ftruncate(f.fd, size); err != nil {
		return &os.PathError{Op: "truncate", Path: f.path, Err: err}
	}
	return nil
}

// syncer lets those who wait for the same segment share a sync: a sync covers
// everybody who came before it began.
type syncer struct {
	mu      sync.Mutex
	cond    sync.Cond
	running bool
	started uint64 // syncs begun
	done    uint64 // syncs ended
	err     error  // of a failed sync; nothing is durable after it
}

// wait returns when a sync that began after the call has ended. run does it;
// one of the waiters calls it for all.
func (s *syncer) wait(run func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cond.L == nil {
		s.cond.L = &s.mu
	}
	need := s.started + 1
	for s.done < need && s.err == nil {
		if s.running {
			s.cond.Wait()
			continue
		}
		s.running = true
		s.started++
		s.mu.Unlock()
		err := run()
		s.mu.Lock()
		s.running = false
		s.done = s.started
		if err != nil {
			s.err = fmt.Errorf("journal sync failed: %w", err)
		}
		s.cond.Broadcast()
	}
	return s.err
}
