package pebble

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// manyKeys is from how many keys on one iterator costs less than a search for each: the keys of a page of a directory
// lie mostly beside each other.
const manyKeys = 8

// getMany returns copies of the keys' values, nil for those that are absent, all of one moment.
func getMany(ctx context.Context, db pebble.Reader, keys [][]byte) ([][]byte, error) {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(keys[a], keys[b]) })
	first, last := keys[order[0]], keys[order[len(order)-1]]
	if len(first) == 0 {
		first = nil // Pebble takes an empty bound for a key
	}
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: first, UpperBound: append(slices.Clone(last), 0),
	})
	if err != nil {
		return nil, classify(err)
	}
	values := make([][]byte, len(keys))
	for _, i := range order {
		// A search for a greater key goes on from where the last one ended.
		if !it.SeekGE(keys[i]) {
			break
		}
		if !bytes.Equal(it.Key(), keys[i]) {
			continue
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(classify(err), classify(it.Close()))
		}
		values[i] = append(make([]byte, 0, len(v)), v...)
	}
	if err := it.Close(); err != nil { // also what ended the search early
		return nil, classify(err)
	}
	return values, nil
}
