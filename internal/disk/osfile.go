package disk

import (
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// osFile is a file descriptor. Its calls are those of the hot path: nothing is
// allocated or copied, and no lock is taken.
type osFile struct {
	fd   int
	name string
}

func (f *osFile) Name() string { return f.name }

func (f *osFile) Close() error { return f.wrap("close", unix.Close(f.fd)) }

// ReadAt implements File.
func (f *osFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, f.wrap("read", err)
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

// WriteAt implements File.
func (f *osFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(f.fd, p[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, f.wrap("write", err)
		}
		done += n
	}
	return done, nil
}

// WritevAt implements File.
func (f *osFile) WritevAt(head, p []byte, off int64) (int, error) {
	n, err := unix.Pwritev(f.fd, [][]byte{head, p}, off)
	for err == unix.EINTR {
		n, err = unix.Pwritev(f.fd, [][]byte{head, p}, off)
	}
	if err != nil {
		return max(n, 0), f.wrap("write", err)
	}
	if n < len(head) {
		more, err := f.WriteAt(head[n:], off+int64(n))
		if n += more; err != nil {
			return n, err
		}
	}
	more, err := f.WriteAt(p[n-len(head):], off+int64(n))
	return n + more, err
}

// Datasync implements File.
func (f *osFile) Datasync() error {
	return f.retry("fdatasync", func() error { return unix.Fdatasync(f.fd) })
}

// WriteBack implements File.
func (f *osFile) WriteBack(off, n int64) error {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	return f.retry("write back", func() error {
		switch err := unix.SyncFileRange(f.fd, off, n, all); err {
		case unix.ENOSYS, unix.EINVAL, unix.EOPNOTSUPP, unix.ESPIPE: // some sandboxes and filesystems: the sync does it all
			return nil
		default:
			return err
		}
	})
}

// Sync implements File.
func (f *osFile) Sync() error {
	return f.retry("fsync", func() error { return unix.Fsync(f.fd) })
}

// Truncate implements File.
func (f *osFile) Truncate(size int64) error {
	return f.retry("truncate", func() error { return unix.Ftruncate(f.fd, size) })
}

// Size implements File.
func (f *osFile) Size() (int64, error) {
	st, err := f.stat()
	return st.Size, err
}

// Allocated implements File.
func (f *osFile) Allocated() (int64, error) {
	st, err := f.stat()
	return st.Blocks * 512, err
}

func (f *osFile) stat() (st unix.Stat_t, err error) {
	err = f.retry("stat", func() error { return unix.Fstat(f.fd, &st) })
	return st, err
}

// Allocate implements File.
func (f *osFile) Allocate(off, n int64) error {
	return f.retry("allocate", func() error { return unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, off, n) })
}

// PunchHole implements File.
func (f *osFile) PunchHole(off, n int64) error {
	return f.retry("punch hole", func() error {
		return unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
}

// NextData implements File. It moves the descriptor's position, which nothing
// else uses.
func (f *osFile) NextData(off int64) (start, end int64, err error) {
	start, err = unix.Seek(f.fd, off, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return 0, 0, io.EOF
	}
	if err == nil {
		end, err = unix.Seek(f.fd, start, unix.SEEK_HOLE)
	}
	return start, end, f.wrap("seek", err)
}

func (f *osFile) retry(op string, call func() error) error { return f.wrap(op, retry(call)) }

func (f *osFile) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
