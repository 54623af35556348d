package metatest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
)

func testScanOrder(t *testing.T, open Open) {
	s, _ := open(t)
	keys := []string{"b", "a", "\x00", "\x00\x00", "a\x00", "aa", "\xff", "\xff\xff", "\x7f", "\x80", "Z"}
	b := &meta.Batch{}
	for _, k := range keys {
		b.Put([]byte(k), []byte(k))
	}
	mustApply(t, s, b)
	slices.Sort(keys)
	pairs := mustScan(t, s, meta.Range{}, 100)
	expect(t, pairs, keys...)
	for _, p := range pairs {
		if !bytes.Equal(p.Key, p.Value) {
			t.Errorf("key %q has the value %q", p.Key, p.Value)
		}
	}
	slices.Reverse(keys)
	expect(t, mustScan(t, s, meta.Range{Reverse: true}, 100), keys...)
}

func testScanRanges(t *testing.T, open Open) {
	s, _ := open(t)
	expect(t, mustScan(t, s, meta.Range{}, 10))
	expect(t, mustScan(t, s, meta.Range{Reverse: true}, 10))
	mustApply(t, s, put("a", "", "b", "", "b\x00", "", "c", "", "\xff", "", "\xffz", ""))
	r := func(start, end string, reverse bool) meta.Range {
		in := meta.Range{Start: []byte(start), Reverse: reverse}
		if end != "" {
			in.End = []byte(end)
		}
		return in
	}
	cases := []struct {
		in    meta.Range
		limit int
		want  []string
	}{
		{r("a", "c", false), 10, []string{"a", "b", "b\x00"}},
		{r("a", "c", true), 10, []string{"b\x00", "b", "a"}},
		{r("a", "c", false), 2, []string{"a", "b"}},
		{r("a", "c", true), 2, []string{"b\x00", "b"}},
		{r("b\x00", "", false), 1, []string{"b\x00"}},
		{r("b\x00", "", true), 1, []string{"\xffz"}},
		{r("bb", "", false), 10, []string{"c", "\xff", "\xffz"}},
		{r("", "b", false), 10, []string{"a"}},
		{r("", "b", true), 10, []string{"a"}},
		{r("b", "b", false), 10, nil},
		{r("b", "b", true), 10, nil},
		{r("c", "a", false), 10, nil},
		{r("c", "a", true), 10, nil},
		{r("d", "e", false), 10, nil},
		{meta.Range{End: []byte{}}, 10, nil},
		{meta.PrefixRange([]byte("b")), 10, []string{"b", "b\x00"}},
		{meta.PrefixRange([]byte("\xff")), 10, []string{"\xff", "\xffz"}},
		{meta.Range{}, math.MaxInt, []string{"a", "b", "b\x00", "c", "\xff", "\xffz"}},
		{r("", string(bytes.Repeat([]byte{0xff}, meta.MaxKey)), true), 1, []string{"\xffz"}},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%q-%q,%v,%d", c.in.Start, c.in.End, c.in.Reverse, c.limit), func(t *testing.T) {
			expect(t, mustScan(t, s, c.in, c.limit), c.want...)
		})
	}
}

func testScanPages(t *testing.T, open Open) {
	s, _ := open(t)
	const n = 1000
	b := &meta.Batch{}
	for i := range n {
		b.Put(fmt.Appendf(nil, "d/%04d", i), nil)
	}
	mustApply(t, s, b)
	r := meta.PrefixRange([]byte("d/"))
	seen := 0
	for {
		page := mustScan(t, s, r, 77)
		for _, p := range page {
			if string(p.Key) != fmt.Sprintf("d/%04d", seen) {
				t.Fatalf("key %q at place %d", p.Key, seen)
			}
			seen++
		}
		if len(page) < 77 {
			break
		}
		r.Start = append(page[len(page)-1].Key, 0)
	}
	if seen != n {
		t.Errorf("%d keys, want %d", seen, n)
	}
}
