package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dittofs/dittofs/internal/content"
)

const (
	manifestPrefix = "backups/manifests/"
	chunkPrefix    = "backups/chunks/"
	stamp          = "20060102t150405z"
	// readers bounds the objects that are read at the same time.
	readers = 4
)

// name is that of a backup: its number, and for those who read it the time.
func name(number uint64, moment time.Time) string {
	return fmt.Sprintf("%08d-%s", number, moment.UTC().Format(stamp))
}

// parseName returns the number of a backup, and whether it is a name.
func parseName(name string) (number uint64, ok bool) {
	digits, when, ok := strings.Cut(name, "-")
	if _, err := time.Parse(stamp, when); !ok || err != nil || len(digits) < 8 || digits[0] == '+' {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	return number, err == nil
}

// Entry is a backup in the content store. Err says why it cannot be read; then
// Manifest has its name and number only.
type Entry struct {
	*Manifest
	Err error
}

// List reads the manifests of all backups, oldest first. The error is one of
// the content store.
func List(ctx context.Context, store content.Store) ([]Entry, error) {
	var entries []Entry
	err := store.List(ctx, manifestPrefix, func(id string, _ int64) error {
		name := strings.TrimPrefix(id, manifestPrefix)
		if number, ok := parseName(name); ok {
			entries = append(entries, Entry{Manifest: &Manifest{Name: name, Number: number}})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i := range entries {
		group.Go(func() error {
			m, err := read(ctx, store, entries[i].Name)
			switch {
			case err == nil:
				entries[i].Manifest = m
			case errors.Is(err, ErrDamaged), errors.Is(err, ErrFormat):
				entries[i].Err = err
			default:
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	return entries, nil
}

// sortKey orders by number, whatever its digits, then by name.
func sortKey(e Entry) string { return fmt.Sprintf("%020d %s", e.Number, e.Name) }

// read reads a manifest.
func read(ctx context.Context, store content.Store, name string) (*Manifest, error) {
	number, ok := parseName(name)
	if !ok {
		return nil, fmt.Errorf("%q is not the name of a backup; \"dittofs backup list\" shows them", name)
	}
	b, err := readObject(ctx, store, manifestPrefix+name, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", name, err)
	}
	m, err := decodeManifest(b)
	if err == nil && m.Number != number {
		err = fmt.Errorf("the manifest is that of backup number %d: %w", m.Number, ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", name, err)
	}
	m.Name = name
	return m, nil
}

// readObject reads an object of at most limit bytes.
func readObject(ctx context.Context, store content.Store, id string, limit int64) ([]byte, error) {
	size, err := store.Size(ctx, id)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d: %w", id, size, limit, ErrDamaged)
	}
	b := make([]byte, size)
	_, err = store.ReadAt(ctx, id, b, 0)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%s is shorter than it was: %w", id, ErrDamaged)
	}
	return b, err
}

// chunkSizes lists the chunks of the content store.
func chunkSizes(ctx context.Context, store content.Store) (map[[32]byte]int64, error) {
	sizes := map[[32]byte]int64{}
	err := store.List(ctx, chunkPrefix, func(id string, size int64) error {
		if sum, err := hex.DecodeString(strings.TrimPrefix(id, chunkPrefix)); err == nil && len(sum) == 32 {
			sizes[[32]byte(sum)] = size
		}
		return nil
	})
	return sizes, err
}
