package vfs

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func testHandles(t testing.TB) *Handles {
	h, err := NewHandles([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAHandleGivesBackItsID(t *testing.T) {
	h := testHandles(t)
	rapid.Check(t, func(rt *rapid.T) {
		id := ID{
			Share: rapid.Uint32().Draw(rt, "share"), Inode: rapid.Uint64().Draw(rt, "inode"),
			Generation: rapid.Uint32().Draw(rt, "generation"),
		}
		b := h.Append([]byte("before"), id)
		if len(b) != len("before")+HandleSize || !bytes.HasPrefix(b, []byte("before")) {
			rt.Fatalf("the handle has %d bytes", len(b)-len("before"))
		}
		got, err := h.Parse(b[len("before"):])
		if err != nil || got != id {
			rt.Fatalf("%+v came back as %+v (%v)", id, got, err)
		}
	})
}

func TestAHandleWithAFlippedBitIsRefused(t *testing.T) {
	h := testHandles(t)
	good := h.Append(nil, ID{Share: 1, Inode: 42, Generation: 7})
	for bit := range len(good) * 8 {
		b := bytes.Clone(good)
		b[bit/8] ^= 1 << (bit % 8)
		if id, err := h.Parse(b); err != EBADHANDLE {
			t.Errorf("bit %d flipped: %+v, %v", bit, id, err)
		}
	}
}

func TestAHandleOfAnotherLengthIsRefused(t *testing.T) {
	h := testHandles(t)
	good := h.Append(nil, ID{Share: 1, Inode: 42, Generation: 7})
	for n := range len(good) {
		if _, err := h.Parse(good[:n]); err != EBADHANDLE {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := h.Parse(append(good, 0)); err != EBADHANDLE {
		t.Errorf("a byte more: %v", err)
	}
}

func TestAHandleOfAnotherKeyIsRefused(t *testing.T) {
	other, err := NewHandles([]byte("another key, 16B"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testHandles(t).Parse(other.Append(nil, ID{Share: 1, Inode: 42})); err != EBADHANDLE {
		t.Error(err)
	}
	for _, n := range []int{0, 15, 17, 32} {
		if _, err := NewHandles(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is taken", n)
		}
	}
}

func FuzzHandlesParse(f *testing.F) {
	h := testHandles(f)
	f.Add(h.Append(nil, ID{Share: 1, Inode: 42, Generation: 7}))
	f.Add([]byte{})
	f.Add(make([]byte, HandleSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := h.Parse(b)
		if err == nil && !bytes.Equal(h.Append(nil, id), b) {
			t.Fatalf("%x is taken for %+v", b, id)
		}
		if err != nil && err != EBADHANDLE {
			t.Fatal(err)
		}
	})
}
