package commit

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/meta/paircache"
)

// model is what a Log must show: all that was submitted, in order.
type model map[string][]byte

func (m model) apply(b *meta.Batch) {
	for _, op := range b.Ops {
		switch k := string(op.Key); op.Kind {
		case meta.OpPut:
			m[k] = append([]byte{}, op.Value...)
		case meta.OpDelete:
			delete(m, k)
		case meta.OpAdd:
			m[k] = binary.BigEndian.AppendUint64(nil, uint64(m.counter(k)+op.Delta))
		}
	}
}

func (m model) counter(key string) int64 {
	if v := m[key]; v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

func (m model) scan(r meta.Range, limit int) []meta.Pair {
	keys := slices.Sorted(maps.Keys(m))
	if r.Reverse {
		slices.Reverse(keys)
	}
	var pairs []meta.Pair
	for _, k := range keys {
		if k >= string(r.Start) && (r.End == nil || k < string(r.End)) && len(pairs) < limit {
			pairs = append(pairs, meta.Pair{Key: []byte(k), Value: m[k]})
		}
	}
	return pairs
}

var (
	genKey     = rapid.StringMatching(`k[abc]{0,3}`)
	genCounter = rapid.SampledFrom([]string{"c1", "c2", "c3", "c4", "c5"})
	genBound   = rapid.StringMatching(`[ckl]?[abc]{0,3}`)
)

func genBatch(t *rapid.T) *meta.Batch {
	b := &meta.Batch{}
	for range rapid.IntRange(1, 5).Draw(t, "changes") {
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0, 1:
			b.Put([]byte(genKey.Draw(t, "key")), rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value"))
		case 2:
			b.Delete([]byte(genKey.Draw(t, "key")))
		case 3, 4:
			b.Add([]byte(genCounter.Draw(t, "counter")), rapid.Int64Range(-9, 9).Draw(t, "delta"))
		case 5:
			c := []byte(genCounter.Draw(t, "counter"))
			if rapid.Bool().Draw(t, "reset") {
				b.Delete(c)
			} else {
				b.Put(c, binary.BigEndian.AppendUint64(nil, 100))
			}
		}
	}
	return b
}

func genRange(t *rapid.T) meta.Range {
	r := meta.Range{
		Start:   []byte(genBound.Draw(t, "start")),
		Reverse: rapid.Bool().Draw(t, "reverse"),
	}
	if rapid.Bool().Draw(t, "bounded") {
		r.End = []byte(genBound.Draw(t, "end"))
	}
	return r
}

func TestRandomHistoriesReadLikeOneMapWhateverIsDurable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := newGated()
		cache, err := paircache.New(paircache.MinSize)
		if err != nil {
			t.Fatal(err)
		}
		l := NewCached(context.Background(), store, cache, rapid.SampledFrom([]string{"", "k", "kc"}).Draw(t, "cached"))
		l.counters.max = rapid.IntRange(1, 3).Draw(t, "cached counters")
		m := model{}
		var tickets []Ticket
		t.Repeat(map[string]func(*rapid.T){
			"submit": func(t *rapid.T) {
				b := genBatch(t)
				m.apply(b)
				tickets = append(tickets, l.Submit(b))
			},
			"make durable": func(t *rapid.T) {
				i := rapid.IntRange(0, max(0, len(tickets)-1)).Draw(t, "ticket")
				for i < len(tickets) && !tickets[i].Done() {
					select {
					case store.permits <- struct{}{}:
					case <-tickets[i].g.done:
					}
				}
			},
			"get": func(t *rapid.T) {
				keys := rapid.SliceOfN(rapid.OneOf(genKey, genCounter), 1, 4).Draw(t, "keys")
				checkGet(t, l, m, keys)
			},
			"scan": func(t *rapid.T) {
				r, limit := genRange(t), rapid.IntRange(1, 6).Draw(t, "limit")
				checkScan(t, l, m, r, limit)
			},
			"counter": func(t *rapid.T) {
				key := genCounter.Draw(t, "counter")
				n, err := l.Counter(context.Background(), []byte(key))
				if err != nil || n != m.counter(key) {
					t.Fatalf("counter %s: %d, %v, want %d", key, n, err, m.counter(key))
				}
			},
		})
		close(store.open)
		if err := l.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		for i, ticket := range tickets {
			if err := ticket.Wait(); err != nil {
				t.Fatalf("ticket %d: %v", i, err)
			}
		}
		checkScan(t, store, m, meta.Range{}, 1000)
	})
}

func checkGet(t *rapid.T, r meta.Reader, m model, keys []string) {
	var raw [][]byte
	for _, k := range keys {
		raw = append(raw, []byte(k))
	}
	values, err := r.Get(context.Background(), raw...)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	for i, k := range keys {
		want, present := m[k]
		if (values[i] != nil) != present || !bytes.Equal(values[i], want) {
			t.Fatalf("get %q: %#v, want %#v", k, values[i], want)
		}
	}
}

func checkScan(t *rapid.T, r meta.Reader, m model, in meta.Range, limit int) {
	pairs, err := r.Scan(context.Background(), in, limit)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	if got, want := fmt.Sprintf("%q", pairs), fmt.Sprintf("%q", m.scan(in, limit)); got != want {
		t.Fatalf("scan of %q to %q, reverse %v, limit %d:\n%s\nwant\n%s", in.Start, in.End, in.Reverse, limit, got, want)
	}
}
