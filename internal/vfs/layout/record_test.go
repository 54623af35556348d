package layout

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzDecodeRecord(f *testing.F) {
	r := Inode{
		Type: TypeSymlink, Mode: 0o777, Nlink: 1, Share: 1, Size: 6, Used: 0, Mtime: Time{Sec: -1, Nsec: 5}, Exclusive: true,
		Target: "target",
	}
	f.Add(r.Encode(r.Size, r.Used))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeInode(b)
		if err != nil {
			return
		}
		if again, err := DecodeInode(r.Encode(r.Size, r.Used)); err != nil || again != r {
			t.Fatalf("%+v came back as %+v (%v)", r, again, err)
		}
	})
}

func TestWhatOlderServersStoredIsShownAsClientsCanTakeIt(t *testing.T) {
	stored := Inode{Type: TypeSymlink, Mode: 0o777, UID: NoID, GID: NoID, Size: 4096, Target: strings.Repeat("p", 4096)}
	r, err := DecodeInode(stored.Encode(stored.Size, 0))
	if err != nil {
		t.Fatal(err)
	}
	if r.UID != 65534 || r.GID != 65534 {
		t.Errorf("a link that user -1 made belongs to %d:%d", r.UID, r.GID)
	}
	if got := r.Readlink(); got != stored.Target[:4095] {
		t.Errorf("its target has %d bytes, want 4095", len(got))
	}
}

func FuzzDecodeDirectoryEntries(f *testing.F) {
	e := Dirent{Inode: 5, Cookie: 7, Type: TypeRegular}
	f.Add(e.Encode(), ListKey(1, 7), e.EncodeListed("name"))
	f.Fuzz(func(t *testing.T, entry, key, listed []byte) {
		if d, err := DecodeDirent(entry); err == nil && !bytes.Equal(d.Encode(), entry) {
			t.Fatalf("%x is taken for %+v", entry, d)
		}
		l, err := DecodeListed(key, listed)
		if err != nil {
			return
		}
		if len(l.Name) == 0 || len(l.Name) > MaxName {
			t.Fatalf("a name of %d bytes", len(l.Name))
		}
		if !bytes.Equal(l.EncodeListed(l.Name), listed) {
			t.Fatalf("%x is taken for %+v", listed, l)
		}
	})
}
