package metatest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dittofs/dittofs/internal/meta"
)

// testHistories runs random histories against a map. All of them share one
// store, each under a prefix of its own, since opening one can be slow.
func testHistories(t *testing.T, open Open) {
	store, reopen := open(t)
	history, reopens := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		history++
		h := &histories{
			store: store, reopen: reopen, reopens: &reopens, prefix: fmt.Sprintf("h%06d/", history), model: map[string]string{},
		}
		t.Repeat(map[string]func(*rapid.T){
			"apply":  h.apply,
			"get":    h.get,
			"scan":   h.scan,
			"reopen": h.reopenStore,
		})
		store = h.store
	})
	if reopen != nil && reopens < reopenEvery {
		t.Errorf("the store was to be opened again %d times in all histories, and never was", reopens)
	}
}

// reopenEvery is how many of the chances to open the store again, in all
// histories together, are for one that is taken: it can take long.
const reopenEvery = 10

type histories struct {
	store  meta.Store
	reopen func() meta.Store
	prefix string
	model  map[string]string
	// reopens counts the chances of all histories: one alone seldom has enough.
	reopens *int
}

var genKey = rapid.StringMatching(`[ab\x00\x{ff}]{0,4}`)

func (h *histories) key(t *rapid.T, label string) []byte {
	return []byte(h.prefix + genKey.Draw(t, label))
}

func (h *histories) apply(t *rapid.T) {
	b := &meta.Batch{}
	for range rapid.IntRange(1, 8).Draw(t, "changes") {
		key := h.key(t, "key")
		if rapid.IntRange(0, 2).Draw(t, "change") == 0 {
			b.Delete(key)
			delete(h.model, string(key))
			continue
		}
		value := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
		b.Put(key, value)
		h.model[string(key)] = string(value)
	}
	if err := h.store.Apply(context.Background(), b); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func (h *histories) get(t *rapid.T) {
	var keys [][]byte
	for range rapid.IntRange(1, 4).Draw(t, "keys") {
		keys = append(keys, h.key(t, "key"))
	}
	values, err := h.store.Get(context.Background(), keys...)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	for i, key := range keys {
		want, present := h.model[string(key)]
		if (values[i] != nil) != present || string(values[i]) != want {
			t.Fatalf("get %q: %#v, want %q (%v)", key, values[i], want, present)
		}
	}
}

func (h *histories) scan(t *rapid.T) {
	r := meta.Range{
		Start:   h.key(t, "start"),
		End:     h.key(t, "end"),
		Reverse: rapid.Bool().Draw(t, "reverse"),
	}
	if rapid.Bool().Draw(t, "whole prefix") {
		r.Start, r.End = []byte(h.prefix), meta.PrefixEnd([]byte(h.prefix))
	}
	limit := rapid.IntRange(1, 10).Draw(t, "limit")
	got, err := h.store.Scan(context.Background(), r, limit)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	want := h.expected(r, limit)
	if len(got) != len(want) {
		t.Fatalf("scan of %q to %q: %d pairs, want %d", r.Start, r.End, len(got), len(want))
	}
	for i, key := range want {
		if string(got[i].Key) != key || string(got[i].Value) != h.model[key] {
			t.Fatalf("scan of %q to %q: %q at place %d, want %q", r.Start, r.End, got[i], i, key)
		}
	}
}

func (h *histories) expected(r meta.Range, limit int) []string {
	keys := slices.Sorted(maps.Keys(h.model))
	if r.Reverse {
		slices.Reverse(keys)
	}
	var in []string
	for _, k := range keys {
		if bytes.Compare([]byte(k), r.Start) >= 0 && bytes.Compare([]byte(k), r.End) < 0 && len(in) < limit {
			in = append(in, k)
		}
	}
	return in
}

// reopenStore closes and opens the store, seldom, and not for those that
// forget.
func (h *histories) reopenStore(t *rapid.T) {
	if h.reopen == nil {
		t.Skip("this store forgets")
	}
	if *h.reopens++; *h.reopens%reopenEvery != 0 {
		t.Skip("not this time")
	}
	if err := h.store.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	h.store = h.reopen()
}
