// Package filling writes small files until a server takes no more, and knows what must be there. It is for tests of
// full disks.
package filling

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
	"github.com/dittofs/dittofs/test/process"
)

// patience is how long a server may take to say that there is no space, or to have some again.
const patience = 2 * time.Minute

// Files are numbered files of one size in the top directory of the share "export".
type Files struct {
	t    testing.TB
	s    *process.Server
	size int
	// Client is the connection; Root the directory.
	Client *nfsclient.Client
	Root   nfsclient.Handle
	// Handles of the files by their numbers; nil of one that was removed.
	Handles []nfsclient.Handle
}

// New connects to a running server. Files are of size bytes, a multiple of 8.
func New(t testing.TB, s *process.Server, size int) *Files {
	t.Helper()
	f := &Files{t: t, s: s, size: size}
	f.Connect()
	root, err := f.Client.Mount("/export")
	f.must(err)
	f.Root = root
	return f
}

// Connect makes a connection to the server, which may have been started again.
func (f *Files) Connect() {
	f.t.Helper()
	c, err := nfsclient.Dial(f.s.NFS, nfsclient.Options{})
	f.must(err)
	f.t.Cleanup(func() { _ = c.Close() }) // only waits for answers
	f.Client = c
}

func (f *Files) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%v; the server's log ends:\n%s", err, f.s.Log())
	}
}

func (f *Files) name(i int) string    { return fmt.Sprintf("file-%05d", i) }
func (f *Files) content(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%07d ", i), f.size/8) }

// Next makes a file and writes it durably, and returns what the writer was told. One that was refused is removed.
func (f *Files) Next() error {
	f.t.Helper()
	name := f.name(len(f.Handles))
	n, err := f.Client.Create(f.Root, name, nfsclient.Unchecked, nfsclient.SetAttr{}, nil)
	f.must(err)
	_, err = f.Client.Write(n.Handle, 0, f.content(len(f.Handles)), nfsclient.FileSync)
	if err == nil {
		f.Handles = append(f.Handles, n.Handle)
		return nil
	}
	_, removed := f.Client.Remove(f.Root, name)
	f.must(removed)
	return err
}

// Write makes n files, which must be taken.
func (f *Files) Write(n int) {
	f.t.Helper()
	for range n {
		f.must(f.Next())
	}
}

// Fill writes until there is no space, as writers do that come again when they are asked to, and returns how often they
// were.
func (f *Files) Fill() (again int) {
	f.t.Helper()
	for end := time.Now().Add(patience); ; {
		err := f.Next()
		switch {
		case Full(err):
			f.t.Logf("no space after %d files of %d KiB", len(f.Handles), f.size>>10)
			return again
		case errors.Is(err, nfsclient.ErrJukebox):
			again++
		default:
			f.must(err)
		}
		if time.Now().After(end) {
			f.t.Fatalf("%d files were taken, the last one was answered %v", len(f.Handles), err)
		}
	}
}

// Full says whether an answer was that there is no space.
func Full(err error) bool { return errors.Is(err, nfsclient.ErrNoSpc) }

// Verify looks every file up and reads it.
func (f *Files) Verify() {
	f.t.Helper()
	for i, h := range f.Handles {
		if h == nil {
			continue
		}
		n, err := f.Client.Lookup(f.Root, f.name(i))
		f.must(err)
		if !bytes.Equal(n.Handle, h) {
			f.t.Fatalf("file %d has another handle", i)
		}
		got, err := f.Client.Read(h, 0, uint32(f.size))
		f.must(err)
		if !bytes.Equal(got.Data, f.content(i)) {
			f.t.Fatalf("file %d has other bytes", i)
		}
	}
}

// Remove removes some of the files.
func (f *Files) Remove(some func(int) bool) {
	f.t.Helper()
	for i := range f.Handles {
		if some(i) && f.Handles[i] != nil {
			_, err := f.Client.Remove(f.Root, f.name(i))
			f.must(err)
			f.Handles[i] = nil
		}
	}
}

// UntilWritersAreServed writes until another eighth of the files was taken, and returns how long that took.
func (f *Files) UntilWritersAreServed() time.Duration {
	f.t.Helper()
	began, want := time.Now(), len(f.Handles)+len(f.Handles)/8
	for len(f.Handles) < want {
		err := f.Next()
		if err != nil && !Full(err) && !errors.Is(err, nfsclient.ErrJukebox) {
			f.must(err)
		}
		if time.Since(began) > patience {
			f.t.Fatalf("there is still no space: %v; the server's log ends:\n%s", err, f.s.Log())
		}
	}
	return time.Since(began)
}
