package main

import (
	"fmt"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// goal bounds the ratio of ours to the peer's: at least, or at most for times. slower bounds how many times slower ours
// may be. cost asks that no more CPU is used for a unit.
type goal struct {
	ratio  float64
	atMost bool
	slower bool
	cost   bool
}

// row is one line of the table. prepare is called once for each server, run once for each round.
type row struct {
	name    string
	goal    goal
	unit    unit
	prepare func(*bench) error
	run     func(*bench) (sample, error)
}

var rows = []row{
	{"GETATTR", goal{ratio: 2}, calls, (*bench).makeNames, timed(0, func(b *bench, _ int) call { return getattr(b.files) })},
	{"LOOKUP", goal{ratio: 2}, calls, (*bench).makeNames, timed(0, func(b *bench, _ int) call { return lookup(b.names, names) })},
	{"ACCESS", goal{ratio: 2}, calls, (*bench).makeNames, timed(0, func(b *bench, _ int) call { return access(b.files) })},
	{"READ 4 KiB, cached", goal{ratio: 2}, calls, (*bench).makeRead, timed(0, func(b *bench, _ int) call { return read(b.read, fileSize, block, 1) })},
	{"READ 1 MiB, cached", goal{ratio: 1, cost: true}, bytes, (*bench).makeRead, timed(4, func(b *bench, _ int) call { return read(b.read, fileSize, large, large) })},
	{"WRITE 4 KiB FILE_SYNC, 64 outstanding", goal{ratio: 1.5}, calls, (*bench).makeWrite, timed(16, func(b *bench, i int) call { return write(b.write[i], fileSize/4) })},
	{"WRITE 4 KiB FILE_SYNC, 256 outstanding", goal{ratio: 1.5}, calls, (*bench).makeWrite, timed(64, func(b *bench, i int) call { return write(b.write[i], fileSize/4) })},
	{"WRITE 1 MiB + COMMIT of a new file", goal{ratio: 1}, bytes, nil, (*bench).newFileAndCommit},
	{"CREATE", goal{ratio: 1.2}, calls, nil, (*bench).creates},
	{"create + write 4 KiB + commit", goal{ratio: 1.2}, calls, nil, (*bench).smallFiles},
	{"READDIRPLUS, entries", goal{ratio: 1.5}, calls, (*bench).makeFull, (*bench).listings},
	{"REMOVE", goal{ratio: 1.5}, calls, nil, (*bench).removes},
	{"GETATTR p50, one outstanding", goal{ratio: 0.7, atMost: true}, micros, (*bench).makeNames, (*bench).oneByOne},
}

// timed is a row that repeats a call on every connection for the time of a measurement.
func timed(depth int, make func(b *bench, conn int) call) func(*bench) (sample, error) {
	return func(b *bench) (sample, error) {
		d := depth
		if d == 0 {
			d = b.o.depth
		}
		return b.drive(d, b.each(func(i int) load { return b.until(make(b, i)) }))
	}
}

func (b *bench) makeNames() (err error) {
	if b.names != nil {
		return nil
	}
	if b.names, err = b.mkdir(b.dir, "names"); err == nil {
		b.files, err = b.makeFiles([]nfsclient.Handle{b.names}, names, b.o.depth)
	}
	return err
}

func (b *bench) makeRead() (err error) {
	if b.read == nil {
		b.read, err = b.filled("read", fileSize)
	}
	return err
}

func (b *bench) makeWrite() error {
	for i := len(b.write); i < b.o.conns; i++ {
		h, err := b.filled(fmt.Sprint("write", i), fileSize/4)
		if err != nil {
			return err
		}
		b.write = append(b.write, h)
	}
	return nil
}

func (b *bench) makeFull() (err error) {
	if b.full, err = b.mkdir(b.dir, "full"); err == nil {
		_, err = b.makeFiles([]nfsclient.Handle{b.full}, b.o.entries, b.o.depth)
	}
	return err
}

// newFileAndCommit writes a new file from all connections, 4 calls outstanding on each, and ends with a COMMIT. The
// file is removed afterwards.
func (b *bench) newFileAndCommit() (sample, error) {
	b.made++
	name := fmt.Sprint("new", b.made)
	h, err := b.newFile(name)
	if err != nil {
		return sample{}, err
	}
	data, step := pattern(large), int64(b.o.conns)*large
	before, start := cpuSeconds(b.t.pid), time.Now()
	s, err := b.drive(4, b.each(func(i int) load {
		return &stream{h: h, data: data, at: int64(i) * large, step: step, to: b.o.size}
	}))
	if err == nil {
		_, err = b.c.Commit(h, 0, 0)
	}
	s.took, s.cpu = time.Since(start), cpuSeconds(b.t.pid)-before
	s.value, s.cost = s.units/s.took.Seconds(), s.cpu/s.units
	if err == nil {
		_, err = b.c.Remove(b.dir, name)
	}
	return s, err
}

// dirs are new directories, one for each connection.
func (b *bench) dirs() (dirs []nfsclient.Handle, err error) {
	for range b.o.conns {
		d, err := b.newDir()
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, d)
	}
	return dirs, nil
}

func (b *bench) creates() (sample, error) {
	dirs, err := b.dirs()
	if err != nil {
		return sample{}, err
	}
	return b.drive(b.o.depth, b.each(func(i int) load { return b.until(createIn(dirs[i:i+1], "file")) }))
}

func (b *bench) smallFiles() (sample, error) {
	dirs, err := b.dirs()
	if err != nil {
		return sample{}, err
	}
	data, end := pattern(block), time.Now().Add(b.o.time)
	return b.drive(b.o.depth, b.each(func(i int) load { return &smallFiles{dir: dirs[i], data: data, end: end} }))
}

func (b *bench) listings() (sample, error) {
	end := time.Now().Add(b.o.time)
	return b.drive(1, b.each(func(int) load { return &listing{dir: b.full, wanted: b.o.entries, end: end} }))
}

func (b *bench) removes() (sample, error) {
	dirs, err := b.dirs()
	if err != nil {
		return sample{}, err
	}
	n := b.o.removes / b.o.conns
	if _, err := b.makeFiles(dirs, n, b.o.depth); err != nil {
		return sample{}, err
	}
	return b.drive(b.o.depth, b.each(func(i int) load { return &removes{dirs: dirs[i : i+1], prefix: "file", n: n} }))
}

// oneByOne is the median time of a call when no other is outstanding.
func (b *bench) oneByOne() (sample, error) {
	t := &times{until: *b.until(getattr(b.files))}
	s, err := b.drive(1, []load{t})
	s.value = median(t.each)
	return s, err
}
