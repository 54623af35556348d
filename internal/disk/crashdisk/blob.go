package crashdisk

import "io"

const (
	pageSize   = 4096
	sectorSize = 512
)

// blob is the content of a file, in pages that clones share until one of them
// writes.
type blob struct {
	owner *byte // of the pages that this blob may write to
	pages []*page
	size  int64
	taken int // pages that are not nil
}

// page is nil in a hole.
type page struct {
	owner   *byte
	written bool // else allocated in advance
	bytes   [pageSize]byte
}

func (b *blob) clone() *blob {
	b.owner = nil // from now on its pages are shared
	c := &blob{size: b.size, taken: b.taken}
	c.pages = append(make([]*page, 0, len(b.pages)), b.pages...)
	return c
}

// own returns page i to be written to.
func (b *blob) own(i int) *page {
	if b.owner == nil {
		b.owner = new(byte)
	}
	for len(b.pages) <= i {
		b.pages = append(b.pages, nil)
	}
	switch p := b.pages[i]; {
	case p == nil:
		b.pages[i] = &page{owner: b.owner}
		b.taken++
	case p.owner != b.owner:
		c := *p
		c.owner = b.owner
		b.pages[i] = &c
	}
	return b.pages[i]
}

// holes counts the pages of a range that a write to it would take.
func (b *blob) holes(off, n int64) (count int) {
	for i := off / pageSize; i*pageSize < off+n; i++ {
		if i >= int64(len(b.pages)) || b.pages[i] == nil {
			count++
		}
	}
	return count
}

func (b *blob) write(p []byte, off int64) {
	b.size = max(b.size, off+int64(len(p)))
	for len(p) > 0 {
		to := b.own(int(off / pageSize))
		to.written = true
		n := copy(to.bytes[off%pageSize:], p)
		p, off = p[n:], off+int64(n)
	}
}

func (b *blob) allocate(off, n int64) {
	for i := off / pageSize; i*pageSize < off+n; i++ {
		if int64(len(b.pages)) <= i || b.pages[i] == nil {
			b.own(int(i))
		}
	}
}

// punch makes a hole. Pages that are only partly in it stay, with zeros.
func (b *blob) punch(off, n int64) {
	for n > 0 {
		i, at := off/pageSize, off%pageSize
		if i >= int64(len(b.pages)) {
			return
		}
		part := min(n, pageSize-at)
		switch {
		case b.pages[i] == nil:
		case part == pageSize:
			b.pages[i] = nil
			b.taken--
		default:
			clear(b.own(int(i)).bytes[at : at+part])
		}
		off, n = off+part, n-part
	}
}

// truncate also gives back what was allocated behind the new end.
func (b *blob) truncate(size int64) {
	b.punch(size, int64(len(b.pages))*pageSize-size)
	b.size = size
}

func (b *blob) read(p []byte, off int64) (int, error) {
	if off >= b.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	want := len(p)
	p = p[:min(int64(want), b.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		part := p[done:min(len(p), done+int(pageSize-at%pageSize))]
		if i := at / pageSize; i < int64(len(b.pages)) && b.pages[i] != nil {
			copy(part, b.pages[i].bytes[at%pageSize:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return want, nil
}

// nextData is that of disk.File; what was only allocated is a hole.
func (b *blob) nextData(off int64) (start, end int64, err error) {
	data := func(at int64) bool {
		i := at / pageSize
		return i < int64(len(b.pages)) && b.pages[i] != nil && b.pages[i].written
	}
	for start = off; start < b.size && !data(start); {
		start = (start/pageSize + 1) * pageSize
	}
	if start >= b.size {
		return 0, 0, io.EOF
	}
	for end = start; end < b.size && data(end); {
		end = (end/pageSize + 1) * pageSize
	}
	return start, min(end, b.size), nil
}
