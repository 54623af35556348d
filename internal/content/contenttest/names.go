package contenttest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dittofs/dittofs/internal/content"
)

func testList(t *testing.T, open Open, flat bool) {
	s, _ := open(t)
	expectList(t, s, "")
	ids := []string{
		"a", "a-b", "a.b", "a/b", "a/b/c", "a0", "a/b-c", "b",
		"segments/0000000000000001/00000001", "segments/0000000000000001/00000002",
		"segments/0000000000000001/00000010", "segments/0000000000000002/00000001", "segments-old/1",
	}
	if flat {
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == "a" || id == "a/b" })
	}
	for i, id := range ids {
		mustPut(t, s, id, make([]byte, i))
	}
	for _, prefix := range []string{
		"", "a", "a/", "a/b", "a/b/", "segments", "segments/", "segments/0000000000000001/",
		"segments/0000000000000001/0000000", "x", "segments/x", "b",
	} {
		var want []string
		for i, id := range ids {
			if strings.HasPrefix(id, prefix) {
				want = append(want, fmt.Sprintf("%s:%d", id, i))
			}
		}
		slices.SortFunc(want, func(a, b string) int {
			return strings.Compare(a[:strings.Index(a, ":")], b[:strings.Index(b, ":")])
		})
		expectList(t, s, prefix, want...)
	}
}

func testListStops(t *testing.T, open Open) {
	s, _ := open(t)
	for i := range 20 {
		mustPut(t, s, fmt.Sprintf("d%d/%02d", i%2, i), nil)
	}
	stop := errors.New("enough")
	calls := 0
	err := s.List(t.Context(), "", func(string, int64) error {
		if calls++; calls == 13 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || calls != 13 {
		t.Errorf("%v after %d calls", err, calls)
	}
	deleted := 0
	err = s.List(t.Context(), "d0/", func(id string, _ int64) error {
		deleted++
		return s.Delete(t.Context(), id)
	})
	if err != nil || deleted != 10 {
		t.Errorf("deleting what is listed: %v after %d", err, deleted)
	}
	if n := len(list(t, s, "")); n != 10 {
		t.Errorf("%d objects left, want 10", n)
	}
}

func testNames(t *testing.T, open Open) {
	s, _ := open(t)
	ids := []string{
		"a", "a/b", "a/b/c", "a.", ".a", "...", "-", "0", "tmp/x", "tmp", "format", "instance",
		"a.data", "a/b.data/c", strings.Repeat("x", content.MaxID), strings.Repeat("y/", content.MaxID/2-1) + "yy",
	}
	for i, id := range ids {
		mustPut(t, s, id, fmt.Appendf(nil, "content of %d", i))
	}
	for i, id := range ids {
		expect(t, s, id, fmt.Appendf(nil, "content of %d", i))
	}
	if n := len(list(t, s, "")); n != len(ids) {
		t.Errorf("%d objects listed, want %d", n, len(ids))
	}
}

func testFlatNames(t *testing.T, open Open) {
	s, _ := open(t)
	for i, id := range []string{
		"a/b", "tmp/x", "format", "instance", ".a", "...", "-", "0",
		strings.Repeat("x", content.MaxID), strings.Repeat("y/", content.MaxID/2-1) + "yy",
	} {
		mustPut(t, s, id, fmt.Appendf(nil, "content of %d", i))
		expect(t, s, id, fmt.Appendf(nil, "content of %d", i))
	}
	before := list(t, s, "")
	for _, id := range []string{"a", "a/b/c", "format/x", "tmp"} {
		if err := put(t.Context(), s, id, []byte("x")); err == nil {
			t.Errorf("put %q, which is a part of another name or has one as a part, was accepted", id)
		}
	}
	expectList(t, s, "", before...)
}

func testInvalidNames(t *testing.T, open Open) {
	s, _ := open(t)
	for _, id := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a/../b", "A", "a b", "a\x00", "ä", "a\\b", "a_b",
		"TMP/x", "FORMAT",
		strings.Repeat("x", content.MaxID+1),
	} {
		if err := s.Put(t.Context(), id, bytes.NewReader([]byte("x")), 1); err == nil {
			t.Errorf("put %q was accepted", id)
		}
		if _, err := s.ReadAt(t.Context(), id, make([]byte, 1), 0); err == nil || errors.Is(err, content.ErrNotFound) {
			t.Errorf("read %q: %v", id, err)
		}
		if _, err := s.Size(t.Context(), id); err == nil || errors.Is(err, content.ErrNotFound) {
			t.Errorf("size of %q: %v", id, err)
		}
		if err := s.Delete(t.Context(), id); err == nil {
			t.Errorf("delete %q was accepted", id)
		}
	}
	expectList(t, s, "")
}
