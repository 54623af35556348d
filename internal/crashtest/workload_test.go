package crashtest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dittofs/dittofs/internal/disk/crashdisk"
	"github.com/dittofs/dittofs/internal/vfs"
)

const (
	workers      = 4
	fileBlocks   = 16 // of a worker's own file, at most
	sharedBlocks = 40
)

var (
	asRoot = &vfs.Request{Context: background}
	busy   = crashdisk.Options{SyncTime: 20 * time.Microsecond}
)

// run does a random workload of so many steps by each worker, over two
// successive instances on a new disk. It stops early when the filesystem
// fails, which is an error unless the disk was made to fail.
func run(k kind, opts crashdisk.Options, seed uint64, steps int) (*crashdisk.Disk, *history, error) {
	d := crashdisk.New(opts)
	h := &history{Kind: k, TopAck: never}
	p := &player{
		d: d, h: h, own: "", trail: &trail{}, now: nameTree{Names: map[string]int{}, Attrs: map[int]attr{}},
		dirs: map[string]vfs.ID{},
	}
	h.Trails = []*trail{p.trail}
	players := []*player{}
	for life := range 2 {
		i, err := openInstance(d, k)
		if err != nil {
			return d, h, err
		}
		if life == 0 {
			if players, err = p.prepare(i, seed); err != nil {
				players = nil // nothing to work with
			}
		}
		var all sync.WaitGroup
		for _, w := range players {
			w.i, w.held = i, nil // a stop ends all holds
			all.Go(func() { w.play(steps / 2) })
		}
		all.Wait()
		for _, w := range players {
			err = errors.Join(err, w.err)
		}
		h.Compacted += i.data.Stats().Compacted
		h.LaidOut += i.data.Stats().LaidOutBytes
		if err = errors.Join(err, i.failure(), i.close()); err != nil {
			return d, h, fmt.Errorf("%w\n%s", err, i.said)
		}
		h.Compared += i.pairs.compared.Load()
		h.Gone += i.pairs.gone.Load()
		for _, f := range h.Files { // a stop in good order flushes everything
			f.durable(d.Len(), never, 0, len(f.Blocks))
		}
	}
	return d, h, nil
}

// player is a worker.
type player struct {
	d     *crashdisk.Disk
	h     *history
	i     *instance
	rnd   *rand.Rand
	own   string
	trail *trail
	now   nameTree
	dirs  map[string]vfs.ID // by path
	share int               // number of the shared file
	index int
	made  int
	held  []func() // the release of each file that is held
	err   error
}

// errNoRoom: the disk is full before the workload begins.
var errNoRoom = errors.New("no room for the workload's files")

// prepare makes what the workers share, and the workers.
func (p *player) prepare(i *instance, seed uint64) ([]*player, error) {
	p.i, p.dirs[""] = i, i.top
	p.h.Top, p.h.TopAck = i.top, p.d.Len()
	p.mkdir("s")
	p.create("shared", sharedBlocks)
	var made bool
	if p.share, made = p.now.Names["shared"]; !made {
		return nil, errors.Join(p.err, errNoRoom)
	}
	var all []*player
	for n := range workers {
		name := fmt.Sprint("w", n)
		p.mkdir(name)
		if _, made := p.dirs[name]; !made {
			return nil, errors.Join(p.err, errNoRoom)
		}
		w := &player{
			d: p.d, h: p.h, i: i, own: name, trail: &trail{Own: name}, share: p.share, index: n,
			rnd: rand.New(rand.NewPCG(seed, uint64(n))), now: nameTree{Names: map[string]int{}, Attrs: map[int]attr{}},
			dirs: map[string]vfs.ID{"s": p.dirs["s"], name: p.dirs[name]},
		}
		p.h.Trails = append(p.h.Trails, w.trail)
		all = append(all, w)
	}
	return all, p.err
}

func (p *player) play(steps int) {
	for range steps {
		if p.err != nil {
			return
		}
		p.step()
	}
}

func (p *player) step() {
	p.ask()
	p.find()
	switch n := p.rnd.IntN(100); {
	case n < 12:
		p.create(p.newName("f"), fileBlocks)
	case n < 36:
		p.write(p.rnd.IntN(3) == 0)
	case n < 48:
		p.writeShared(p.rnd.IntN(3) == 0)
	case n < 58:
		p.commit()
	case n < 64:
		p.truncate()
	case n < 68:
		p.rename()
	case n < 76:
		p.remove()
	case n < 79:
		p.link()
	case n < 81:
		p.symlink()
	case n < 84:
		p.chmod()
	case n < 85:
		p.renameDir()
	case n < 87:
		p.mkdir(path.Join(p.own, fmt.Sprint("d", p.rnd.IntN(3))))
	default:
		p.read()
	}
}

// change does one atomic change of names or attributes: next is the tree
// after it.
func (p *player) change(what string, next nameTree, call func() error) {
	if p.err != nil {
		return
	}
	p.trail.Steps = append(p.trail.Steps, step{What: what, Start: p.d.Len(), Ack: never, After: next})
	s := &p.trail.Steps[len(p.trail.Steps)-1]
	switch err := call(); err {
	case nil:
		s.Ack = p.d.Len()
		p.now = next
	case vfs.ENOSPC:
		p.trail.Steps = p.trail.Steps[:len(p.trail.Steps)-1]
	default:
		p.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (p *player) newName(kind string) string {
	p.made++
	dir := pick(p.rnd, p.dirs)
	if dir == "s" {
		return fmt.Sprintf("s/%s-%s%d", p.own, kind, p.made)
	}
	return fmt.Sprintf("%s/%s%d", dir, kind, p.made)
}

func pick[V any](rnd *rand.Rand, m map[string]V) string {
	keys := slices.Sorted(maps.Keys(m))
	return keys[rnd.IntN(len(keys))]
}

// existing picks a name of the type, "" if there is none.
func (p *player) existing(typ vfs.FileType) string {
	names := map[string]bool{}
	for name, n := range p.now.Names {
		if p.now.Attrs[n].Type == typ {
			names[name] = true
		}
	}
	if len(names) == 0 {
		return ""
	}
	return pick(p.rnd, names)
}

func (p *player) split(name string) (dir vfs.ID, base string) {
	at := path.Dir(name)
	if at == "." {
		at = ""
	}
	return p.dirs[at], path.Base(name)
}

func (p *player) create(name string, blocks int) {
	if len(p.now.Names) > 25 {
		return
	}
	n := p.h.file(blocks)
	next := p.now.clone()
	next.Names[name], next.Attrs[n] = n, attr{Type: vfs.TypeRegular, Mode: 0o640, Nlink: 1}
	p.change("create "+name, next, func() error {
		dir, base := p.split(name)
		mode := uint32(0o640)
		a, _, err := p.i.fs.Create(asRoot, dir, base, vfs.CreateGuarded, vfs.SetAttr{Mode: &mode}, vfs.Verifier{})
		p.h.get(n).ID = a.ID
		return err
	})
}

func (p *player) mkdir(name string) {
	if _, ok := p.dirs[name]; ok {
		p.rmdir(name)
		return
	}
	n := p.h.file(0)
	next := p.now.clone()
	next.Names[name], next.Attrs[n] = n, attr{Type: vfs.TypeDirectory, Mode: 0o755}
	p.change("mkdir "+name, next, func() error {
		dir, base := p.split(name)
		mode := uint32(0o755)
		a, _, err := p.i.fs.Mkdir(asRoot, dir, base, vfs.SetAttr{Mode: &mode})
		p.h.get(n).ID = a.ID
		if err == nil {
			p.dirs[name] = a.ID
		}
		return err
	})
}

func (p *player) rmdir(name string) {
	for other := range p.now.Names {
		if strings.HasPrefix(other, name+"/") {
			return
		}
	}
	next := p.now.clone()
	delete(next.Names, name)
	dir, base := p.split(name)
	delete(p.dirs, name)
	p.change("rmdir "+name, next, func() error {
		_, err := p.i.fs.Rmdir(asRoot, dir, base)
		return err
	})
}

// drop takes a name from a tree.
func drop(t nameTree, name string) {
	n, ok := t.Names[name]
	if !ok {
		return
	}
	delete(t.Names, name)
	a := t.Attrs[n]
	a.Nlink--
	t.Attrs[n] = a
}

func (p *player) rename() {
	from := p.existing(vfs.TypeRegular)
	to := p.newName("r")
	if over := p.existing(vfs.TypeRegular); p.rnd.IntN(2) == 0 {
		to = over
	}
	if from == "" || p.now.Names[from] == p.now.Names[to] {
		return // links to one file: nothing would happen
	}
	next := p.now.clone()
	n := next.Names[from]
	drop(next, to)
	delete(next.Names, from)
	next.Names[to] = n
	p.change("rename "+from+" to "+to, next, func() error {
		fromDir, fromBase := p.split(from)
		toDir, toBase := p.split(to)
		if p.rnd.IntN(3) == 0 {
			p.hold(toDir, toBase)
		}
		_, _, err := p.i.fs.Rename(asRoot, fromDir, fromBase, toDir, toBase)
		return err
	})
}

// renameDir gives a directory of this worker, with all that is in it, a name
// that is free.
func (p *player) renameDir() {
	from := p.existing(vfs.TypeDirectory)
	to := path.Join(p.own, fmt.Sprint("d", p.rnd.IntN(3)))
	if _, taken := p.dirs[to]; taken || from == "" {
		return
	}
	next := nameTree{Names: map[string]int{}, Attrs: p.now.Attrs}
	for name, n := range p.now.Names {
		if name == from || strings.HasPrefix(name, from+"/") {
			name = to + name[len(from):]
		}
		next.Names[name] = n
	}
	p.change("rename "+from+" to "+to, next, func() error {
		fromDir, fromBase := p.split(from)
		toDir, toBase := p.split(to)
		_, _, err := p.i.fs.Rename(asRoot, fromDir, fromBase, toDir, toBase)
		p.dirs[to] = p.dirs[from]
		delete(p.dirs, from)
		return err
	})
}

func (p *player) remove() {
	name := p.existing([]vfs.FileType{vfs.TypeRegular, vfs.TypeRegular, vfs.TypeSymlink}[p.rnd.IntN(3)])
	if name == "" {
		return
	}
	next := p.now.clone()
	drop(next, name)
	p.change("remove "+name, next, func() error {
		dir, base := p.split(name)
		if p.rnd.IntN(3) == 0 {
			p.hold(dir, base)
		}
		_, err := p.i.fs.Remove(asRoot, dir, base)
		return err
	})
}

// hold holds a file that is about to lose a name, until others are held.
func (p *player) hold(dir vfs.ID, base string) {
	a, _, err := p.i.fs.Lookup(asRoot, dir, base)
	if err != nil || a.Type != vfs.TypeRegular {
		return
	}
	release, err := p.i.fs.Hold(background, a.ID)
	if err != nil {
		return
	}
	if p.held = append(p.held, release); len(p.held) > 3 {
		p.held[0]()
		p.held = p.held[1:]
	}
}

func (p *player) link() {
	from, to := p.existing(vfs.TypeRegular), p.newName("l")
	if from == "" || len(p.now.Names) > 25 {
		return
	}
	next := p.now.clone()
	n := next.Names[from]
	a := next.Attrs[n]
	a.Nlink++
	next.Names[to], next.Attrs[n] = n, a
	p.change("link "+from+" as "+to, next, func() error {
		dir, base := p.split(to)
		_, _, err := p.i.fs.Link(asRoot, p.h.get(n).ID, dir, base)
		return err
	})
}

func (p *player) symlink() {
	if len(p.now.Names) > 25 {
		return
	}
	name, target := p.newName("s"), fmt.Sprint("target ", p.rnd.Uint64())
	n := p.h.file(0)
	next := p.now.clone()
	next.Names[name], next.Attrs[n] = n, attr{Type: vfs.TypeSymlink, Mode: 0o777, Nlink: 1, Target: target}
	p.change("symlink "+name, next, func() error {
		dir, base := p.split(name)
		a, _, err := p.i.fs.Symlink(asRoot, dir, base, target, vfs.SetAttr{})
		p.h.get(n).ID = a.ID
		return err
	})
}

func (p *player) chmod() {
	name := p.existing(vfs.TypeRegular)
	if name == "" {
		return
	}
	next := p.now.clone()
	n := next.Names[name]
	a := next.Attrs[n]
	a.Mode = uint32(p.rnd.IntN(0o1000))
	next.Attrs[n] = a
	p.change("chmod "+name, next, func() error {
		_, err := p.i.fs.SetAttr(asRoot, p.h.get(n).ID, vfs.SetAttr{Mode: &a.Mode}, nil)
		return err
	})
}
