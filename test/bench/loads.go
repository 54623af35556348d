package main

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// call appends a call and says how much it counts for.
type call func(args *xdr.Encoder) (proc uint32, unit int)

// until repeats a call until a time.
type until struct {
	call  call
	end   time.Time
	unit  [maxDepth]int
	units int
	calls int
	over  bool
}

func (b *bench) until(c call) *until { return &until{call: c, end: time.Now().Add(b.o.time)} }

func (u *until) Next(slot int, args *xdr.Encoder) (proc uint32, ok bool) {
	if u.calls++; u.calls%16 == 0 && time.Now().After(u.end) {
		u.over = true
	}
	if u.over {
		return 0, false
	}
	proc, u.unit[slot] = u.call(args)
	return proc, true
}

func (u *until) Done(slot int, results *xdr.Decoder) error {
	u.units += u.unit[slot]
	return status(results)
}

func (u *until) count() int { return u.units }

func status(results *xdr.Decoder) error {
	if st := results.Uint32(); st != 0 {
		return nfsclient.Status(st)
	}
	return results.Err()
}

func getattr(files []nfsclient.Handle) call {
	return func(args *xdr.Encoder) (uint32, int) {
		args.Opaque(files[rand.IntN(len(files))])
		return nfsclient.ProcGetAttr, 1
	}
}

// getattrInOrder goes through the files from one on, round and round.
func getattrInOrder(files []nfsclient.Handle, from int) call {
	return func(args *xdr.Encoder) (uint32, int) {
		args.Opaque(files[from%len(files)])
		from++
		return nfsclient.ProcGetAttr, 1
	}
}

func lookup(dir nfsclient.Handle, n int) call {
	return func(args *xdr.Encoder) (uint32, int) {
		args.Opaque(dir)
		args.String(nameOf(rand.IntN(n)))
		return nfsclient.ProcLookup, 1
	}
}

func access(files []nfsclient.Handle) call {
	return func(args *xdr.Encoder) (uint32, int) {
		args.Opaque(files[rand.IntN(len(files))])
		args.Uint32(0x3f)
		return nfsclient.ProcAccess, 1
	}
}

// read reads blocks at random places of a file.
func read(h nfsclient.Handle, size, count, unit int) call {
	return func(args *xdr.Encoder) (uint32, int) {
		args.Opaque(h)
		args.Uint64(uint64(rand.IntN(size/count) * count))
		args.Uint32(uint32(count))
		return nfsclient.ProcRead, unit
	}
}

// write writes blocks at random places of a file, each synced.
func write(h nfsclient.Handle, size int) call {
	data := pattern(block)
	return func(args *xdr.Encoder) (uint32, int) {
		putWrite(args, h, uint64(rand.IntN(size/block)*block), data, nfsclient.FileSync)
		return nfsclient.ProcWrite, 1
	}
}

// writeOwn overwrites blocks at random, as write does, in the files that are the part of one of so many writers.
func writeOwn(files []nfsclient.Handle, writer, writers, size int) call {
	data := pattern(block)
	return func(args *xdr.Encoder) (uint32, int) {
		h := files[writer+rand.IntN((len(files)-writer+writers-1)/writers)*writers]
		putWrite(args, h, uint64(rand.IntN(size/block)*block), data, nfsclient.FileSync)
		return nfsclient.ProcWrite, 1
	}
}

// lookupAny looks up files that makes has made, n in each of the directories.
func lookupAny(dirs []nfsclient.Handle, n int) call {
	return func(args *xdr.Encoder) (uint32, int) {
		args.Opaque(dirs[rand.IntN(len(dirs))])
		args.String(nameOf(rand.IntN(n)))
		return nfsclient.ProcLookup, 1
	}
}

// createIn makes empty files in all directories by turns.
func createIn(dirs []nfsclient.Handle, prefix string) call {
	n := 0
	return func(args *xdr.Encoder) (uint32, int) {
		putCreate(args, dirs[n%len(dirs)], prefix+strconv.Itoa(n))
		n++
		return nfsclient.ProcCreate, 1
	}
}

func nameOf(n int) string { return "file" + strconv.Itoa(n) }

func putWrite(args *xdr.Encoder, h nfsclient.Handle, off uint64, data []byte, stable uint32) {
	args.Opaque(h)
	args.Uint64(off)
	args.Uint32(uint32(len(data)))
	args.Uint32(stable)
	args.Opaque(data)
}

func putCreate(args *xdr.Encoder, dir nfsclient.Handle, name string) {
	args.Opaque(dir)
	args.String(name)
	args.Uint32(nfsclient.Guarded)
	args.Bool(true)
	args.Uint32(0o644)
	for range 5 { // the other attributes as they come
		args.Uint32(0)
	}
}

func putCommit(args *xdr.Encoder, h nfsclient.Handle) {
	args.Opaque(h)
	args.Uint64(0)
	args.Uint32(0)
}

// createdHandle reads the handle from the results of a CREATE, behind the status.
func createdHandle(results *xdr.Decoder) nfsclient.Handle {
	if !results.Bool() {
		return nil
	}
	return append(nfsclient.Handle(nil), results.Opaque(64)...)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 11)
	}
	return b
}

// paced is a call that is repeated, with the time that each took from when it was due.
type paced struct {
	call call
	due  [maxDepth]time.Time
	seen *histogram
}

func (p *paced) Due(slot int, at time.Time) { p.due[slot] = at }

func (p *paced) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	proc, _ := p.call(args)
	return proc, true
}

func (p *paced) Done(slot int, results *xdr.Decoder) error {
	p.seen.record(time.Since(p.due[slot]))
	return status(results)
}

// timedUntil is until with the time that each call took.
type timedUntil struct {
	until
	sent [maxDepth]time.Time
	seen *histogram
}

func (t *timedUntil) Next(slot int, args *xdr.Encoder) (uint32, bool) {
	t.sent[slot] = time.Now()
	return t.until.Next(slot, args)
}

func (t *timedUntil) Done(slot int, results *xdr.Decoder) error {
	t.seen.record(time.Since(t.sent[slot]))
	return t.until.Done(slot, results)
}
