package vfs

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzDecodeRecord(f *testing.F) {
	r := record{typ: TypeSymlink, mode: 0o777, nlink: 1, share: 1, size: 6, used: 0, mtime: Time{Sec: -1, Nsec: 5}, exclusive: true, target: "target"}
	f.Add(r.encode(r.size, r.used))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		if again, err := decodeRecord(r.encode(r.size, r.used)); err != nil || again != r {
			t.Fatalf("%+v came back as %+v (%v)", r, again, err)
		}
	})
}

func TestWhatOlderServersStoredIsShownAsClientsCanTakeIt(t *testing.T) {
	stored := record{typ: TypeSymlink, mode: 0o777, uid: NoID, gid: NoID, size: 4096, target: strings.Repeat("p", 4096)}
	r, err := decodeRecord(stored.encode(stored.size, 0))
	if err != nil {
		t.Fatal(err)
	}
	if a := r.attr(1); a.UID != 65534 || a.GID != 65534 || a.Size != 4095 {
		t.Errorf("a link of 4096 bytes that user -1 made is %+v", a)
	}
	if got := r.readlink(); got != stored.target[:4095] {
		t.Errorf("its target has %d bytes, want 4095", len(got))
	}
}

func FuzzDecodeDirectoryEntries(f *testing.F) {
	e := dirent{ino: 5, cookie: 7, typ: TypeRegular}
	f.Add(e.encode(), listKey(1, 7), e.encodeListed("name"))
	f.Fuzz(func(t *testing.T, entry, key, listed []byte) {
		if d, err := decodeDirent(entry); err == nil && !bytes.Equal(d.encode(), entry) {
			t.Fatalf("%x is taken for %+v", entry, d)
		}
		l, err := decodeListed(key, listed)
		if err != nil {
			return
		}
		if len(l.Name) == 0 || len(l.Name) > MaxName {
			t.Fatalf("a name of %d bytes", len(l.Name))
		}
		d := dirent{ino: l.ID.Inode, cookie: l.Cookie, typ: l.Type}
		if !bytes.Equal(d.encodeListed(l.Name), listed) {
			t.Fatalf("%x is taken for %+v", listed, l)
		}
	})
}
