package verify

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dittofs/dittofs/test/nfsclient"
)

func (w *Worker) newName(kind string) string {
	w.names.serial++
	return fmt.Sprintf("%s-%d", kind, w.names.serial)
}

// makeFile makes a data file; it counts from the moment that this is acknowledged.
func (w *Worker) makeFile(c *nfsclient.Client) error {
	name := w.newName("data")
	w.names.unsure = map[string]bool{name: true}
	node, err := c.Create(w.dir, name, nfsclient.Guarded, nfsclient.SetAttr{}, nil)
	if err != nil {
		return err
	}
	w.made(name)
	w.serial++
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = append(w.files, newFile(w.shape, w.id<<32|w.serial, name, node.Handle))
	return nil
}

func (w *Worker) made(names ...string) {
	for _, name := range names {
		w.names.there[name] = true
	}
	w.names.unsure = nil
	w.Acks.Add(1)
}

// replaceFile removes a data file, so that the server has something to reclaim, and makes another.
func (w *Worker) replaceFile(c *nfsclient.Client) error {
	if err := w.makeFile(c); err != nil {
		return err
	}
	w.mu.Lock()
	old := w.files[0]
	w.files = w.files[1:]
	w.mu.Unlock()
	if err := w.remove(c, old.name); err != nil {
		return err
	}
	_, err := c.GetAttr(old.handle)
	if err == nil {
		return wrong("GETATTR of %s succeeds after its removal", old.name)
	}
	if errors.Is(err, nfsclient.ErrStale) {
		return nil
	}
	return err
}

// changeNames makes, renames or removes a file.
func (w *Worker) changeNames(c *nfsclient.Client) error {
	victim := w.victim()
	switch action := w.random.IntN(8); {
	case victim == "" || action < 2:
		return w.create(c, nfsclient.Guarded)
	case action < 4:
		return w.create(c, nfsclient.Exclusive)
	case action < 6:
		return w.remove(c, victim)
	case action < 7:
		return w.rename(c, victim, w.newName("name"))
	}
	return w.renameFile(c)
}

// victim is a name that is not that of a data file.
func (w *Worker) victim() string {
	for name := range w.names.there {
		if w.fileNamed(name) == nil {
			return name
		}
	}
	return ""
}

func (w *Worker) fileNamed(name string) *file {
	for _, f := range w.files {
		if f.name == name {
			return f
		}
	}
	return nil
}

// create makes a name. One that was made exclusively is found again by the same verifier, and refused to another.
func (w *Worker) create(c *nfsclient.Client, how uint32) error {
	name := w.newName("name")
	var verf [8]byte
	binary.BigEndian.PutUint64(verf[:], w.random.Uint64())
	w.names.unsure = map[string]bool{name: true}
	made, err := c.Create(w.dir, name, how, nfsclient.SetAttr{}, verf[:])
	if err != nil {
		return err
	}
	w.made(name)
	if how != nfsclient.Exclusive {
		return nil
	}
	again, err := c.Create(w.dir, name, how, nfsclient.SetAttr{}, verf[:])
	switch {
	case errors.Is(err, nfsclient.ErrExist), err == nil && string(again.Handle) != string(made.Handle):
		return wrong("an exclusive create of %s that was sent again gave %x (%v), the first %x",
			name, again.Handle, err, made.Handle)
	case err != nil:
		return err
	}
	verf[0]++
	if _, err := c.Create(w.dir, name, how, nfsclient.SetAttr{}, verf[:]); err == nil {
		return wrong("an exclusive create of %s, which exists, succeeded with another verifier", name)
	} else if !errors.Is(err, nfsclient.ErrExist) {
		return err
	}
	return nil
}

func (w *Worker) remove(c *nfsclient.Client, name string) error {
	w.names.unsure = map[string]bool{name: true}
	if _, err := c.Remove(w.dir, name); err != nil {
		return stale(err, "REMOVE of "+name)
	}
	delete(w.names.there, name)
	w.made()
	return nil
}

func (w *Worker) rename(c *nfsclient.Client, from, to string) error {
	w.names.unsure = map[string]bool{from: true, to: true}
	if _, _, err := c.Rename(w.dir, from, w.dir, to); err != nil {
		return stale(err, "RENAME of "+from)
	}
	delete(w.names.there, from)
	w.made(to)
	return nil
}

// renameFile gives a data file another name: its handle stays valid.
func (w *Worker) renameFile(c *nfsclient.Client) error {
	f := w.anyFile()
	if !w.names.there[f.name] {
		return nil // what became of its renaming is unknown; its handle is what counts
	}
	from, to := f.name, w.newName("data")
	f.name = to
	return w.rename(c, from, to)
}

// verifyNames lists the directory. What was unsure is known then.
func (w *Worker) verifyNames(c *nfsclient.Client) error {
	unsure := w.names.unsure
	listing, err := w.list(c)
	if err != nil {
		return err
	}
	if err := w.names.verify(listing); err != nil {
		return err
	}
	for _, f := range w.files {
		if listing[f.name] {
			continue
		}
		for name := range unsure {
			if name != f.name && listing[name] {
				f.name = name // a renaming that was not done
			}
		}
	}
	return nil
}

func (w *Worker) list(c *nfsclient.Client) (map[string]bool, error) {
	listing, cookie, verifier := map[string]bool{}, uint64(0), uint64(0)
	for {
		l, err := c.ReadDir(w.dir, cookie, verifier, 8192)
		if err != nil {
			return nil, stale(err, "READDIR")
		}
		for _, e := range l.Entries {
			if listing[e.Name] {
				return nil, wrong("READDIR lists %s twice", e.Name)
			}
			if e.Name != "." && e.Name != ".." {
				listing[e.Name] = true
			}
			cookie = e.Cookie
		}
		verifier = l.Verifier
		if l.EOF {
			return listing, nil
		}
	}
}
