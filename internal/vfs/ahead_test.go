package vfs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/vfs"
)

// few is a filesystem that keeps few inodes in memory, and the rest in the cache of the log.
var few = stores{metadata: "pebble", content: "filesystem", busy: true}

func TestLookingAheadBringsNoInodeToMemoryAndSaysWhetherItWasOfUse(t *testing.T) {
	i := few.open(t)
	top := benchTop(t, i)
	fs := i.FS.(*vfs.FS)
	const n = 300
	var all []vfs.Coming
	var files []vfs.ID
	for k := range n {
		name := fmt.Sprint("name-", k)
		a, _, err := fs.Create(asRoot, top, name, vfs.CreateUnchecked, vfs.SetAttr{}, vfs.Verifier{})
		if err != nil {
			t.Fatal(err)
		}
		if files = append(files, a.ID); fs.Ahead([]vfs.Coming{{Inode: a.ID.Inode}, {Inode: top.Inode, Name: []byte(name)}}) {
			t.Errorf("%s was just made, and is not in memory", name)
		}
		all = append(all, vfs.Coming{Inode: a.ID.Inode}, vfs.Coming{Inode: top.Inode, Name: []byte(name)})
	}
	before, useful := fs.CachedInodes(), 0
	for _, c := range all {
		if fs.Ahead([]vfs.Coming{c}) {
			useful++
		}
	}
	// A file is asked for twice, by number and by name.
	if want := 2 * (n - before); useful < want || useful > want+8 { // shares and their roots are inodes too
		t.Errorf("of use for %d of %d, with %d inodes in memory", useful, len(all), before)
	}
	strange := []vfs.Coming{{}, {Inode: 1 << 60}, {Inode: top.Inode, Name: []byte("absent")},
		{Inode: top.Inode, Name: []byte{}},
		{Inode: files[0].Inode, Name: []byte("x")}, {Inode: 1 << 60, Name: []byte("x")},
		{Inode: top.Inode, Name: []byte(strings.Repeat("x", 300))}}
	fs.Ahead(strange)
	fs.Ahead(all) // more than it takes
	fs.Ahead(nil)
	if now := fs.CachedInodes(); now != before {
		t.Errorf("%d inodes in memory, %d before", now, before)
	}
	for k, id := range files {
		if a, err := fs.GetAttr(asRoot, id); err != nil || a.ID != id {
			t.Fatalf("file %d: %+v, %v", k, a, err)
		}
	}
}
