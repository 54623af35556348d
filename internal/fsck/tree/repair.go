package tree

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/keys"
	"github.com/dittofs/dittofs/internal/vfs/layout"
)

// LostAndFound is the directory at the top of a share under which Repair puts
// what no name leads to, as "#" and the number of the inode.
const LostAndFound = "lost+found"

// fix is a change that mends a fault.
type fix struct {
	what string // is done, for the user
	// counts: of something that other repairs change; done last.
	counts bool
	do     func(ctx context.Context, e *editor) error
}

// Repair mends what Survey reports as far as that loses nothing: names that
// lead nowhere go, what no name leads to gets one in LostAndFound of its share,
// counts are set to a recount. It tells of each fault that it has mended; what
// is left another Survey reports. Nobody else may use the store meanwhile. A
// crash leaves it partly mended.
func Repair(ctx context.Context, s meta.Store, told func(f Fault, done string)) error {
	const rounds = 20 // each repair can bring others to light, but not for ever
	for range rounds {
		var first, last []Fault
		if _, err := Survey(ctx, s, func(f Fault) {
			switch {
			case f.fix == nil, len(first) >= maxFixes:
			case !f.fix.counts:
				first = append(first, f)
			case len(last) < maxFixes:
				last = append(last, f)
			}
		}, func(string, int64) {}); err != nil {
			return err
		}
		done, err := mend(ctx, s, first, told)
		if err == nil && done == 0 {
			done, err = mend(ctx, s, last, told)
		}
		if err != nil || done == 0 {
			return err
		}
	}
	return nil
}

// maxFixes bounds the faults that are mended in one round.
const maxFixes = 100_000

// errLeft says that a fault cannot be mended.
var errLeft = errors.New("left as it is")

// mend mends the faults and returns how many it could.
func mend(ctx context.Context, s meta.Store, faults []Fault, told func(Fault, string)) (done int, err error) {
	e := &editor{s: s, changed: map[string][]byte{}, draft: map[string][]byte{}}
	var mended []Fault
	for i, f := range faults {
		clear(e.draft)
		switch err := f.fix.do(ctx, e); {
		case err == nil:
			maps.Copy(e.changed, e.draft)
			mended = append(mended, f)
		case !errors.Is(err, errLeft):
			return done, fmt.Errorf("repair of inode %d: %w", f.Inode, err)
		}
		if len(e.changed) < 1000 && i < len(faults)-1 {
			continue
		}
		if err := e.apply(ctx); err != nil {
			return done, err
		}
		for _, f := range mended {
			told(f, f.fix.what)
		}
		done, mended = done+len(mended), mended[:0]
	}
	return done, nil
}

// editor collects changes and shows them to those that come after. The draft
// is of the repair under way: if it comes to nothing, nothing of it stays.
type editor struct {
	s              meta.Store
	changed, draft map[string][]byte // nil: deleted
}

func (e *editor) get(ctx context.Context, key []byte) ([]byte, error) {
	for _, changes := range []map[string][]byte{e.draft, e.changed} {
		if v, ok := changes[string(key)]; ok {
			return v, nil
		}
	}
	got, err := e.s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return got[0], nil
}

func (e *editor) put(key, value []byte) { e.draft[string(key)] = value }
func (e *editor) delete(key []byte)     { e.draft[string(key)] = nil }

// apply makes the changes durable, all at once.
func (e *editor) apply(ctx context.Context) error {
	b := &meta.Batch{}
	for key, value := range e.changed {
		if value == nil {
			b.Delete([]byte(key))
		} else {
			b.Put([]byte(key), value)
		}
	}
	clear(e.changed)
	if b.Len() == 0 {
		return nil
	}
	return e.s.Apply(ctx, b)
}

// record reads an inode; errLeft if there is none that can be read.
func (e *editor) record(ctx context.Context, ino uint64) (layout.Inode, error) {
	value, err := e.get(ctx, layout.InodeKey(ino))
	if err != nil {
		return layout.Inode{}, err
	}
	rec, err := layout.DecodeInode(value)
	if err != nil {
		return layout.Inode{}, errLeft
	}
	return rec, nil
}

// inode changes the record of an inode, if there still is one.
func (e *editor) inode(ctx context.Context, ino uint64, change func(r *layout.Inode)) error {
	rec, err := e.record(ctx, ino)
	if err != nil {
		return err
	}
	change(&rec)
	rec.Change++
	e.put(layout.InodeKey(ino), rec.Encode(rec.Size, rec.Used))
	return nil
}

func setCount(what string, ino uint64, change func(r *layout.Inode)) *fix {
	return &fix{
		what: what, counts: true,
		do: func(ctx context.Context, e *editor) error { return e.inode(ctx, ino, change) },
	}
}

func setLinks(ino uint64, n uint32) *fix {
	return setCount(fmt.Sprintf("set its link count to %d", n), ino, func(r *layout.Inode) { r.Nlink = n })
}

func setEntries(ino, n uint64) *fix {
	return setCount(fmt.Sprintf("set its number of entries to %d", n), ino, func(r *layout.Inode) { r.Entries = n })
}

func setUsed(ino, n uint64) *fix {
	return setCount(fmt.Sprintf("set the bytes that it uses to %d", n), ino, func(r *layout.Inode) { r.Used = n })
}

func setUsage(share uint32, what byte, n int64) *fix {
	return &fix{what: fmt.Sprintf("set it to %d", n), counts: true, do: func(_ context.Context, e *editor) error {
		e.put(layout.UsageKey(share, what), layout.EncodeNumber(uint64(n)))
		return nil
	}}
}

func setParent(ino, dir uint64) *fix {
	return &fix{what: fmt.Sprintf("set its parent to %d", dir), do: func(ctx context.Context, e *editor) error {
		return e.inode(ctx, ino, func(r *layout.Inode) { r.Parent = dir })
	}}
}

func setNextInode(n uint64) *fix {
	return &fix{what: fmt.Sprintf("set it to %d", n), do: func(_ context.Context, e *editor) error {
		e.put([]byte(keys.NextInode), layout.EncodeNumber(n))
		return nil
	}}
}

func raiseCookie(dir, cookie uint64) *fix {
	return &fix{what: "raised the next one above it", do: func(ctx context.Context, e *editor) error {
		return e.inode(ctx, dir, func(r *layout.Inode) { r.NextCookie = max(r.NextCookie, cookie+1) })
	}}
}

func keepData(ino uint64) *fix {
	return &fix{what: "its data stays", do: func(_ context.Context, e *editor) error {
		e.delete(layout.OrphanKey(ino))
		return nil
	}}
}

func list(dir, cookie uint64, listed string) *fix {
	return &fix{what: "listed it", do: func(_ context.Context, e *editor) error {
		e.put(layout.ListKey(dir, cookie), []byte(listed))
		return nil
	}}
}

func dropListed(dir, cookie uint64) *fix {
	return &fix{what: "removed it from the list", do: func(_ context.Context, e *editor) error {
		e.delete(layout.ListKey(dir, cookie))
		return nil
	}}
}

// dropName removes a name; its place in the list too, if that is its own.
func dropName(dir uint64, name string, d layout.Dirent) *fix {
	return &fix{
		what: "removed the name", do: func(ctx context.Context, e *editor) error { return e.dropName(ctx, dir, name, d) },
	}
}

func (e *editor) dropName(ctx context.Context, dir uint64, name string, d layout.Dirent) error {
	e.delete(layout.DirentKey(dir, name))
	listed, err := e.get(ctx, layout.ListKey(dir, d.Cookie))
	if err == nil && string(listed) == string(d.EncodeListed(name)) {
		e.delete(layout.ListKey(dir, d.Cookie))
	}
	return err
}

// dropNameOf removes the first name of an inode in a directory.
func dropNameOf(dir, ino uint64) *fix {
	return &fix{
		what: fmt.Sprintf("removed its name in directory %d", dir),
		do:   func(ctx context.Context, e *editor) error { return e.dropNameOf(ctx, dir, ino) },
	}
}

func (e *editor) dropNameOf(ctx context.Context, dir, ino uint64) error {
	var name string
	var found layout.Dirent
	err := scanAll(ctx, e.s, layout.Key(keys.Dirent, dir), func(key, value []byte) {
		if d, err := layout.DecodeDirent(value); err == nil && d.Inode == ino && name == "" {
			name, found = string(key[8:]), d
		}
	})
	if err != nil || name == "" {
		return err
	}
	return e.dropName(ctx, dir, name, found)
}

func setNameType(dir uint64, name string, d layout.Dirent, typ layout.FileType) *fix {
	return &fix{what: "gave the name that type", do: func(_ context.Context, e *editor) error {
		d.Type = typ
		e.put(layout.DirentKey(dir, name), d.Encode())
		e.put(layout.ListKey(dir, d.Cookie), d.EncodeListed(name))
		return nil
	}}
}

// newCookie moves a name to the end of its directory.
func newCookie(dir uint64, name string, d layout.Dirent) *fix {
	return &fix{what: "listed it at the end", do: func(ctx context.Context, e *editor) error {
		return e.inode(ctx, dir, func(r *layout.Inode) { e.list(dir, r, name, d) })
	}}
}

// list gives a name the next cookie of its directory.
func (e *editor) list(dir uint64, r *layout.Inode, name string, d layout.Dirent) {
	d.Cookie = r.NextCookie
	r.NextCookie++
	e.put(layout.DirentKey(dir, name), d.Encode())
	e.put(layout.ListKey(dir, d.Cookie), d.EncodeListed(name))
}

// reattach gives an inode a name in the lost+found of its share. That of a
// directory in a cycle takes the place of the one it has.
func reattach(ino uint64, share uint32) *fix {
	return &fix{
		what: fmt.Sprintf("it is in %s now, as #%d", LostAndFound, ino),
		do:   func(ctx context.Context, e *editor) error { return e.reattach(ctx, ino, share) },
	}
}

func (e *editor) reattach(ctx context.Context, ino uint64, share uint32) error {
	rec, err := e.record(ctx, ino)
	if err != nil {
		return err
	}
	place, err := e.lostAndFound(ctx, share)
	if err != nil {
		return err
	}
	if rec.Type == layout.TypeDirectory {
		if err := e.dropNameOf(ctx, rec.Parent, ino); err != nil {
			return err
		}
		if err := e.inode(ctx, ino, func(r *layout.Inode) { r.Parent = place }); err != nil {
			return err
		}
	}
	return e.inode(ctx, place, func(r *layout.Inode) {
		e.list(place, r, fmt.Sprintf("#%d", ino), layout.Dirent{Inode: ino, Type: rec.Type})
	})
}

// lostAndFound returns the directory of that name at the top of a share, which
// it makes if need be; errLeft if the share has no top, or a file of that name.
func (e *editor) lostAndFound(ctx context.Context, share uint32) (uint64, error) {
	var root uint64
	err := scanAll(ctx, e.s, []byte{keys.Share}, func(_, value []byte) {
		if len(value) == 12 && binary.BigEndian.Uint32(value) == share {
			root = binary.BigEndian.Uint64(value[4:])
		}
	})
	if err != nil {
		return 0, err
	}
	top, err := e.record(ctx, root)
	if err == nil && top.Type != layout.TypeDirectory {
		err = errLeft
	}
	if err != nil {
		return 0, err
	}
	value, err := e.get(ctx, layout.DirentKey(root, LostAndFound))
	if err != nil {
		return 0, err
	}
	if value != nil {
		d, err := layout.DecodeDirent(value)
		if err != nil || d.Type != layout.TypeDirectory {
			return 0, errLeft
		}
		return d.Inode, nil
	}
	return e.makeLostAndFound(ctx, root, share)
}

func (e *editor) makeLostAndFound(ctx context.Context, root uint64, share uint32) (uint64, error) {
	next, err := e.get(ctx, []byte(keys.NextInode))
	if err != nil {
		return 0, err
	}
	ino := layout.DecodeNumber(next)
	taken, err := e.get(ctx, layout.InodeKey(ino))
	if err != nil {
		return 0, err
	}
	if taken != nil || ino == 0 {
		return 0, errLeft // the number is mended first
	}
	e.put([]byte(keys.NextInode), layout.EncodeNumber(ino+1))
	e.makeDirectory(ino, root, share, layout.FirstCookie)
	return ino, e.inode(ctx, root, func(r *layout.Inode) {
		e.list(root, r, LostAndFound, layout.Dirent{Inode: ino, Type: layout.TypeDirectory})
	})
}

func (e *editor) makeDirectory(ino, parent uint64, share uint32, cookie uint64) {
	t := time.Now()
	now := layout.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
	rec := layout.Inode{
		Type: layout.TypeDirectory, Mode: 0o700, Nlink: 2, Share: share, Generation: rand.Uint32(), Change: 1,
		Parent: parent, NextCookie: cookie, Atime: now, Mtime: now, Ctime: now,
	}
	e.put(layout.InodeKey(ino), rec.Encode(0, 0))
}

// makeAgain makes a directory whose names are there, for its owner to set
// right. What its name and its parent are comes to light in the next round.
func makeAgain(ino uint64, l *lostDirectory) *fix {
	return &fix{what: "made it again, with mode 0700 of root", do: func(_ context.Context, e *editor) error {
		if l.share == 0 {
			return errLeft
		}
		e.makeDirectory(ino, ino, l.share, max(l.cookie+1, layout.FirstCookie))
		return nil
	}}
}
