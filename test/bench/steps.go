package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

var errNoHandle = errors.New("CREATE returned no handle")

// makes creates the files next, next+step ... below end, in all directories by turns, and keeps their handles.
type makes struct {
	dirs            []nfsclient.Handle
	next, step, end int
	handles         []nfsclient.Handle
}

func (m *makes) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	if m.next >= m.end {
		return 0, false
	}
	putCreate(args, m.dirs[m.next%len(m.dirs)], nameOf(m.next/len(m.dirs)))
	m.next += m.step
	return nfsclient.ProcCreate, true
}

func (m *makes) Done(_ int, results *xdr.Decoder) error {
	if err := status(results); err != nil {
		return err
	}
	h := createdHandle(results)
	if h == nil {
		return errNoHandle
	}
	m.handles = append(m.handles, h)
	return nil
}

func (m *makes) count() int { return len(m.handles) }

// removes removes the first n files that createIn has made with the prefix.
type removes struct {
	dirs    []nfsclient.Handle
	prefix  string
	n       int
	removed int
}

func (r *removes) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	if r.n == 0 {
		return 0, false
	}
	r.n--
	args.Opaque(r.dirs[r.n%len(r.dirs)])
	args.String(r.prefix + strconv.Itoa(r.n))
	return nfsclient.ProcRemove, true
}

func (r *removes) Done(_ int, results *xdr.Decoder) error {
	r.removed++
	return status(results)
}

func (r *removes) count() int { return r.removed }

// stream writes every step-th MiB of a file from the first on.
type stream struct {
	h            nfsclient.Handle
	data         []byte
	at, step, to int64 // offsets
	written      int
}

func (s *stream) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	if s.at >= s.to {
		return 0, false
	}
	putWrite(args, s.h, uint64(s.at), s.data, nfsclient.Unstable)
	s.at += s.step
	return nfsclient.ProcWrite, true
}

func (s *stream) Done(_ int, results *xdr.Decoder) error {
	s.written += len(s.data)
	return status(results)
}

func (s *stream) count() int { return s.written }

// smallFiles makes files of one block until a time: CREATE, WRITE and COMMIT, one after the other in each slot.
type smallFiles struct {
	dir   nfsclient.Handle
	data  []byte
	end   time.Time
	n     int
	slots [maxDepth]struct {
		stage int // calls of this file that were answered
		h     nfsclient.Handle
	}
	whole int
}

func (f *smallFiles) Next(slot int, args *xdr.Encoder) (uint32, bool) {
	switch s := &f.slots[slot]; s.stage {
	case 0:
		if time.Now().After(f.end) {
			return 0, false
		}
		putCreate(args, f.dir, nameOf(f.n))
		f.n++
		return nfsclient.ProcCreate, true
	case 1:
		putWrite(args, s.h, 0, f.data, nfsclient.Unstable)
		return nfsclient.ProcWrite, true
	default:
		putCommit(args, s.h)
		return nfsclient.ProcCommit, true
	}
}

func (f *smallFiles) Done(slot int, results *xdr.Decoder) error {
	if err := status(results); err != nil {
		return err
	}
	s := &f.slots[slot]
	if s.stage == 0 {
		if s.h = createdHandle(results); s.h == nil {
			return errNoHandle
		}
	}
	if s.stage++; s.stage == 3 {
		f.whole++
		s.stage = 0
	}
	return nil
}

func (f *smallFiles) count() int { return f.whole }
