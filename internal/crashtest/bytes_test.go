package crashtest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/dittofs/dittofs/internal/vfs"
)

// ownFile picks a file of this worker.
func (p *player) ownFile() *fileHistory {
	name := p.existing(vfs.TypeRegular)
	if name == "" {
		return nil
	}
	return p.h.get(p.now.Names[name])
}

func (p *player) content(blocks int) []byte {
	c := make([]byte, blocks*block)
	for i := 0; i < len(c); i += 4 {
		v := p.rnd.Uint32() | 0x01010101
		for j := i; j < min(i+4, len(c)); j++ {
			c[j] = byte(v >> (8 * (j - i)))
		}
	}
	return c
}

func (p *player) write(stable bool) {
	if f := p.ownFile(); f != nil {
		at := p.rnd.IntN(fileBlocks)
		p.writeAt(f, at, 1+p.rnd.IntN(min(4, fileBlocks-at)), stable)
	}
}

// writeShared writes to a block of the shared file that only this worker
// writes to.
func (p *player) writeShared(stable bool) {
	p.writeAt(p.h.get(p.share), p.rnd.IntN(sharedBlocks/workers)*workers+p.index, 1, stable)
}

func (p *player) writeAt(f *fileHistory, at, n int, stable bool) {
	c := p.content(n)
	start := p.d.Len()
	f.add(p.h, start, at, c)
	how := vfs.Unstable
	if stable {
		how = vfs.FileSync
	}
	switch _, _, err := p.i.fs.Write(asRoot, f.ID, uint64(at*block), c, how); {
	case err == vfs.ENOSPC:
		f.undo(p.h, at, n)
	case err != nil:
		p.err = fmt.Errorf("write: %w", err)
	default:
		f.acknowledged(p.h, p.d.Len(), at, n, stable)
	}
}

// add notes a write that begins.
func (f *fileHistory) add(h *history, start, at int, content []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.Seq++
	for b := at; len(content) > 0; b++ {
		f.Blocks[b] = append(f.Blocks[b], version{f.begins(start), content[:block], true})
		content = content[block:]
	}
}

func (f *fileHistory) begins(start int) Moments { return Moments{f.Seq, start, never, never, never} }

// undo forgets a write that was refused.
func (f *fileHistory) undo(h *history, at, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := at; b < at+n; b++ {
		f.Blocks[b] = f.Blocks[b][:len(f.Blocks[b])-1]
	}
}

func (f *fileHistory) acknowledged(h *history, ack, at, n int, stable bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := at; b < at+n; b++ {
		f.Blocks[b][len(f.Blocks[b])-1].acknowledged(h, ack)
	}
	if stable {
		f.durable(ack, never, at, at+n)
	}
}

func (m *Moments) acknowledged(h *history, ack int) { m.Ack, m.Tick = ack, h.clock.Add(1) }

// durable notes that what was acknowledged before a tick, of blocks from to to,
// is durable from now on.
func (f *fileHistory) durable(now int, before int64, from, to int) {
	for b := from; b < to; b++ {
		for i := range f.Blocks[b] {
			f.Blocks[b][i].settle(now, before)
		}
	}
}

func (m *Moments) settle(now int, before int64) {
	if m.Tick < before {
		m.Durable = min(m.Durable, now)
	}
}

func (p *player) commit() {
	f := p.h.get(p.share)
	if own := p.ownFile(); own != nil && p.rnd.IntN(3) > 0 {
		f = own
	}
	start := p.h.clock.Add(1)
	if _, err := p.i.fs.Commit(asRoot, f.ID, 0, 0); err != nil {
		p.err = fmt.Errorf("commit: %w", err)
		return
	}
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	f.durable(p.d.Len(), start, 0, len(f.Blocks))
}

func (p *player) truncate() {
	f := p.ownFile()
	if f == nil {
		return
	}
	size := p.rnd.Int64N(fileBlocks * block)
	if p.rnd.IntN(4) == 0 {
		size = 0
	}
	start := p.d.Len()
	p.h.mu.Lock()
	f.Seq++
	for b := range f.Blocks {
		for _, v := range p.uncertain(f.Blocks[b]) {
			keep := min(max(size-int64(b)*block, 0), int64(len(v.Content)))
			f.Blocks[b] = append(f.Blocks[b], version{f.begins(start), v.Content[:keep], false})
		}
	}
	f.Cuts = append(f.Cuts, cut{f.begins(start), size})
	p.h.mu.Unlock()
	set := uint64(size)
	if _, err := p.i.fs.SetAttr(asRoot, f.ID, vfs.SetAttr{Size: &set}, nil); err != nil {
		p.err = fmt.Errorf("truncate: %w", err)
		return
	}
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	ack := p.d.Len()
	c := &f.Cuts[len(f.Cuts)-1]
	c.Ack, c.Durable = ack, ack
	for _, versions := range f.Blocks {
		first := slices.IndexFunc(versions, func(v version) bool { return v.Seq == f.Seq })
		for i := range versions[first:] {
			versions[first+i].acknowledged(p.h, ack)
		}
		versions[first].Durable = ack // what was durable is so in its new length
	}
}

// uncertain are the versions of a block of which a truncation cuts one: the
// last, which it makes durable first; or where that would take too long, one of
// those that a crash may leave.
func (p *player) uncertain(versions []version) []version {
	from := len(versions) - 1
	for p.i.kind.Safe && from > 0 && versions[from].Durable == never {
		from--
	}
	return versions[from:]
}

// read compares a file with what was written last.
func (p *player) read() {
	f := p.ownFile()
	if f == nil {
		return
	}
	_, size := f.sizes(never - 1)
	got, err := readAll(p.i, f.ID, 0, uint64(size))
	if err != nil {
		p.err = err
		return
	}
	want := make([]byte, len(f.Blocks)*block)
	for b, versions := range f.Blocks {
		copy(want[b*block:], versions[len(versions)-1].Content)
	}
	if !bytes.Equal(got, want[:size]) {
		p.err = fmt.Errorf("read of %+v: wrong bytes", f.ID)
	}
}
