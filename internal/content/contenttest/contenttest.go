// Package contenttest is the conformance suite of content stores: what
// package content promises, every backend keeps. A backend's test is a
// constructor and one call of Run.
package contenttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/content"
)

// Open returns a new, empty store. again opens the same objects once more,
// with the first store open or closed; it is nil if the store forgets
// everything when closed. Open's own cleanup closes what is still open.
type Open func(t *testing.T) (store content.Store, again func() content.Store)

// Option changes what the suite asks of a store.
type Option int

// FlatNames is for a store over a service that keeps objects as files, so that
// "a" and "a/b" cannot both be: the second is refused, and nothing changes.
// DittoFS has no such names.
const FlatNames Option = iota

// Run runs the suite.
func Run(t *testing.T, open Open, options ...Option) {
	flat := slices.Contains(options, FlatNames)
	names := testNames
	if flat {
		names = testFlatNames
	}
	tests := []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"WhatWasPutIsRead", testPutAndRead},
		{"PuttingTheSameAgainSucceeds", testPutAgain},
		{"AnObjectIsNeverOverwritten", testNeverOverwritten},
		{"APutThatFailsLeavesNothing", testFailedPut},
		{"ReadsAreWholeOrFail", testReads},
		{"WhatIsNotThereIsNotFound", testNotFound},
		{"DeletedObjectsAreGone", testDelete},
		{"ListIsInLexicalOrder", func(t *testing.T, open Open) { testList(t, open, flat) }},
		{"ListStopsWhenToldTo", testListStops},
		{"NamesMayBePartsOfOtherNames", names},
		{"InvalidNamesAreRefused", testInvalidNames},
		{"TheFirstInstanceOwnsTheStore", testClaim},
		{"CancelledCallsFail", testCancelled},
		{"ConcurrentPutsOfOneNameHaveOneWinner", testConcurrentPuts},
		{"ReadersAndDeletersDoNotMeet", testReadersAndDeleters},
		{"ObjectsOutliveTheProcess", testReopen},
		{"AdoptTakesAFileOver", testAdopt},
		{"LocalPathIsTheObjectsFile", testLocal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// pattern returns n bytes that depend on seed.
func pattern(seed uint64, n int) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func put(ctx context.Context, s content.Store, id string, data []byte) error {
	return s.Put(ctx, id, bytes.NewReader(data), int64(len(data)))
}

func mustPut(t *testing.T, s content.Store, id string, data []byte) {
	t.Helper()
	if err := put(t.Context(), s, id, data); err != nil {
		t.Fatalf("put %s: %v", id, err)
	}
}

// expect checks that id holds data.
func expect(t *testing.T, s content.Store, id string, data []byte) {
	t.Helper()
	size, err := s.Size(t.Context(), id)
	if err != nil || size != int64(len(data)) {
		t.Fatalf("size of %s: %d, %v, want %d", id, size, err, len(data))
	}
	got := make([]byte, size)
	if n, err := s.ReadAt(t.Context(), id, got, 0); err != nil || n != len(got) {
		t.Fatalf("read %s: %d bytes, %v", id, n, err)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%s has another content", id)
	}
}

// expectNone checks that there is no id.
func expectNone(t *testing.T, s content.Store, id string) {
	t.Helper()
	if _, err := s.Size(t.Context(), id); !errors.Is(err, content.ErrNotFound) {
		t.Errorf("size of %s: %v", id, err)
	}
	if _, err := s.ReadAt(t.Context(), id, make([]byte, 1), 0); !errors.Is(err, content.ErrNotFound) {
		t.Errorf("read %s: %v", id, err)
	}
}

func list(t *testing.T, s content.Store, prefix string) []string {
	t.Helper()
	ids := []string{}
	err := s.List(t.Context(), prefix, func(id string, size int64) error {
		ids = append(ids, fmt.Sprintf("%s:%d", id, size))
		return nil
	})
	if err != nil {
		t.Fatalf("list %q: %v", prefix, err)
	}
	return ids
}

func expectList(t *testing.T, s content.Store, prefix string, want ...string) {
	t.Helper()
	if got := list(t, s, prefix); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("list %q gave %q, want %q", prefix, got, want)
	}
}

func testPutAndRead(t *testing.T, open Open) {
	s, _ := open(t)
	for i, size := range []int{0, 1, 4095, 4096, 1<<20 + 1, 9<<20 + 17} {
		id := fmt.Sprintf("segments/%016x/%08x", i, size)
		data := pattern(uint64(i), size)
		mustPut(t, s, id, data)
		expect(t, s, id, data)
	}
}

func testPutAgain(t *testing.T, open Open) {
	s, _ := open(t)
	for _, size := range []int{0, 100, 3 << 20} {
		id, data := fmt.Sprint("a/", size), pattern(1, size)
		mustPut(t, s, id, data)
		mustPut(t, s, id, data)
		expect(t, s, id, data)
	}
}

func testNeverOverwritten(t *testing.T, open Open) {
	s, _ := open(t)
	data := pattern(1, 2<<20)
	mustPut(t, s, "a", data)
	changed := bytes.Clone(data)
	changed[len(changed)-1]++
	for name, other := range map[string][]byte{
		"last byte": changed, "shorter": data[:len(data)-1], "longer": append(bytes.Clone(data), 0), "empty": {},
	} {
		if err := put(t.Context(), s, "a", other); !errors.Is(err, content.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	expect(t, s, "a", data)
}

// broken fails after some bytes.
type broken struct{ good int64 }

var errBroken = errors.New("source is broken")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	n := min(int64(len(p)), max(0, b.good-off))
	if n < int64(len(p)) {
		return int(n), errBroken
	}
	return int(n), nil
}

func testFailedPut(t *testing.T, open Open) {
	s, _ := open(t)
	if err := s.Put(t.Context(), "short", bytes.NewReader(pattern(1, 1000)), 1001); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("source that is too short: %v", err)
	}
	if err := s.Put(t.Context(), "broken", broken{3 << 20}, 4<<20); !errors.Is(err, errBroken) {
		t.Errorf("source that fails: %v", err)
	}
	if err := s.Put(t.Context(), "negative", bytes.NewReader(nil), -1); err == nil {
		t.Error("a negative size was accepted")
	}
	for _, id := range []string{"short", "broken", "negative"} {
		expectNone(t, s, id)
	}
	expectList(t, s, "")
	mustPut(t, s, "short", pattern(1, 1001))
	expect(t, s, "short", pattern(1, 1001))
}

func testReads(t *testing.T, open Open) {
	s, _ := open(t)
	data := pattern(1, 10_000)
	mustPut(t, s, "a", data)
	for _, c := range []struct{ off, n int }{{0, 10_000}, {0, 0}, {10_000, 0}, {1, 9_999}, {9_999, 1}, {5_000, 17}} {
		p := make([]byte, c.n)
		n, err := s.ReadAt(t.Context(), "a", p, int64(c.off))
		if err != nil || n != c.n || !bytes.Equal(p, data[c.off:c.off+c.n]) {
			t.Errorf("%d bytes at %d: %d, %v", c.n, c.off, n, err)
		}
	}
	for _, c := range []struct{ off, n int }{{0, 10_001}, {9_999, 2}, {10_000, 1}, {1 << 40, 1}} {
		if _, err := s.ReadAt(t.Context(), "a", make([]byte, c.n), int64(c.off)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes at %d: %v", c.n, c.off, err)
		}
	}
	if _, err := s.ReadAt(t.Context(), "a", make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was accepted")
	}
}

func testNotFound(t *testing.T, open Open) {
	s, _ := open(t)
	mustPut(t, s, "a/b", []byte("x"))
	for _, id := range []string{"x", "a", "a/b/c", "a/x", "a/b.data"} {
		expectNone(t, s, id)
		if err := s.Delete(t.Context(), id); err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	}
	expect(t, s, "a/b", []byte("x"))
}

func testDelete(t *testing.T, open Open) {
	s, _ := open(t)
	mustPut(t, s, "a/1", []byte("one"))
	mustPut(t, s, "a/2", []byte("two"))
	expect(t, s, "a/1", []byte("one"))
	for range 2 {
		if err := s.Delete(t.Context(), "a/1"); err != nil {
			t.Fatalf("delete: %v", err)
		}
		expectNone(t, s, "a/1")
	}
	expect(t, s, "a/2", []byte("two"))
	expectList(t, s, "", "a/2:3")
	mustPut(t, s, "a/1", []byte("other"))
	expect(t, s, "a/1", []byte("other"))
}

func testClaim(t *testing.T, open Open) {
	s, again := open(t)
	one, two := strings.Repeat("0a", 16), strings.Repeat("0b", 16)
	for _, bad := range []string{
		"", "0a", strings.Repeat("0A", 16), strings.Repeat("zz", 16), one + "00", "../" + one[3:],
	} {
		if err := s.Claim(t.Context(), bad); err == nil || errors.Is(err, content.ErrForeign) {
			t.Errorf("instance %q: %v", bad, err)
		}
	}
	mustPut(t, s, "a", []byte("x"))
	if owner, err := s.Owner(t.Context()); owner != "" || err != nil {
		t.Errorf("owner of a new store: %q, %v", owner, err)
	}
	for range 2 {
		if err := s.Claim(t.Context(), one); err != nil {
			t.Fatalf("claim: %v", err)
		}
		if owner, err := s.Owner(t.Context()); owner != one || err != nil {
			t.Errorf("owner: %q, %v", owner, err)
		}
		if err := s.Claim(t.Context(), two); !errors.Is(err, content.ErrForeign) {
			t.Errorf("second instance: %v", err)
		}
		if again != nil {
			s = again()
		}
	}
	expectList(t, s, "", "a:1")
}

func testCancelled(t *testing.T, open Open) {
	s, _ := open(t)
	mustPut(t, s, "a", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, readErr := s.ReadAt(ctx, "a", make([]byte, 1), 0)
	_, sizeErr := s.Size(ctx, "a")
	for name, err := range map[string]error{
		"put":    put(ctx, s, "b", []byte("y")),
		"read":   readErr,
		"size":   sizeErr,
		"delete": s.Delete(ctx, "a"),
		"list":   s.List(ctx, "", func(string, int64) error { return nil }),
		"claim":  s.Claim(ctx, strings.Repeat("0a", 16)),
		"owner":  ownerError(s.Owner(ctx)),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	expect(t, s, "a", []byte("x"))
	expectNone(t, s, "b")
	if owner, err := s.Owner(t.Context()); owner != "" || err != nil {
		t.Errorf("after a cancelled claim the owner is %q, %v", owner, err)
	}
}

func ownerError(_ string, err error) error { return err }

func testReopen(t *testing.T, open Open) {
	s, again := open(t)
	if again == nil {
		t.Skip("this store forgets")
	}
	data := pattern(1, 100_000)
	mustPut(t, s, "segments/1/1", data)
	mustPut(t, s, "segments/1/2", data[:5])
	if err := s.Delete(t.Context(), "segments/1/2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := put(t.Context(), s, "segments/1/3", nil); err == nil {
		t.Error("a closed store takes objects")
	}
	s = again()
	expect(t, s, "segments/1/1", data)
	expectList(t, s, "", "segments/1/1:100000")
	mustPut(t, s, "segments/1/1", data)
	if err := put(t.Context(), s, "segments/1/1", data[1:]); !errors.Is(err, content.ErrExists) {
		t.Errorf("put of another content: %v", err)
	}
}
