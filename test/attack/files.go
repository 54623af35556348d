package main

import (
	"fmt"
	"strings"
	"sync"

	"github.com/dittofs/dittofs/test/nfsclient"
)

const (
	bigSize   = 8 << 20
	readSize  = 64 << 10
	chunkSize = 1 << 20
	// manyEntries fill a READDIR and a READDIRPLUS reply of 256 KiB with names of longName bytes.
	manyEntries, longName = 1000, 240
	linkSize              = 4000
)

// files is what there is on the server: of the victim, and large things to ask for.
type files struct {
	root, own, written nfsclient.Handle
	rolled             nfsclient.Handle // a file to fill segments with
	big                nfsclient.Handle // has bigSize bytes of content
	many               nfsclient.Handle // a directory with manyEntries
	link               nfsclient.Handle // a symbolic link of linkSize bytes
	pieces             nfsclient.Handle // what makePieces has made
}

// content is what a file has at an offset, which is a multiple of 1024.
func content(off uint64, n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		line := fmt.Sprintf("%015d\n", off+uint64(len(b)))
		b = append(b, line...)
	}
	return b[:n]
}

// prepare makes the files, and fills the list of mounts.
func prepare(addr string) (*files, error) {
	c, err := nfsclient.Dial(addr, nfsclient.Options{Local: "127.0.0.3"})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m := &maker{c: c}
	f := &files{}
	f.root, m.err = c.Mount("/export")
	f.own = m.dir(f.root, "victim")
	f.written = m.file(f.own, "written")
	f.rolled = m.file(f.own, "rolled")
	f.big = m.file(f.root, "big")
	for off := uint64(0); off < bigSize && m.err == nil; off += chunkSize {
		_, m.err = c.Write(f.big, off, content(off, chunkSize), nfsclient.FileSync)
	}
	if m.err == nil {
		var n nfsclient.Node
		n, m.err = c.Symlink(f.root, "link", strings.Repeat("x", linkSize), nfsclient.SetAttr{})
		f.link = n.Handle
	}
	f.many = m.dir(f.root, "many")
	m.fill(f.many)
	for i := 0; i < 1024 && m.err == nil; i++ {
		_, m.err = c.Mount(mountPath(i))
	}
	return f, m.err
}

// maker makes files until something fails.
type maker struct {
	c   *nfsclient.Client
	err error
}

func (m *maker) dir(parent nfsclient.Handle, name string) nfsclient.Handle {
	return m.made(func() (nfsclient.Node, error) { return m.c.Mkdir(parent, name, nfsclient.SetAttr{}) })
}

func (m *maker) file(parent nfsclient.Handle, name string) nfsclient.Handle {
	return m.made(func() (nfsclient.Node, error) {
		return m.c.Create(parent, name, nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	})
}

func (m *maker) made(f func() (nfsclient.Node, error)) nfsclient.Handle {
	if m.err != nil {
		return nil
	}
	n, err := f()
	m.err = err
	return n.Handle
}

// fill makes the entries of a directory, many at a time.
func (m *maker) fill(dir nfsclient.Handle) {
	if m.err != nil {
		return
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	const workers = 64
	for w := range workers {
		wg.Go(func() {
			for i := w; i < manyEntries; i += workers {
				name := fmt.Sprintf("%0*d", longName, i)
				if _, err := m.c.Create(dir, name, nfsclient.Unchecked, nfsclient.SetAttr{}, nil); err != nil {
					mu.Lock()
					m.err = err
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
}

// mountPath is one of 1024 long ways to write the share's path: each is an entry of its own in the list of mounts,
// which DUMP returns as a whole.
func mountPath(i int) string {
	var b strings.Builder
	b.WriteString("/export")
	for bit := range 10 {
		if i>>bit&1 == 1 {
			b.WriteString("//")
		} else {
			b.WriteString("/.")
		}
	}
	b.WriteString(strings.Repeat("/.", 490))
	return b.String()
}
