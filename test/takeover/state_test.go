package takeover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// state is all that lies in the stores, but for the lease.
type state struct {
	keys    map[string]string // of the database
	owner   string            // epoch and attempt
	objects map[string]string // checksums, by name
}

func (a state) equal(b state) bool {
	return a.owner == b.owner && maps.Equal(a.keys, b.keys) && maps.Equal(a.objects, b.objects)
}

// query runs one statement in the database of the world.
func (w *world) query(t *testing.T, sql string, into func(pgx.Rows) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.postgres.DSN(w.database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		if err := into(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func (w *world) state(t *testing.T) state {
	t.Helper()
	s := state{keys: map[string]string{}, objects: w.objects(t)}
	w.query(t, `SELECT key, value FROM dittofs.kv`, func(rows pgx.Rows) error {
		var key, value []byte
		err := rows.Scan(&key, &value)
		s.keys[string(key)] = string(value)
		return err
	})
	w.query(t, `SELECT epoch || '/' || attempt FROM dittofs.owner`,
		func(rows pgx.Rows) error { return rows.Scan(&s.owner) })
	return s
}

// objects are the checksums of the objects of the bucket: an object is a file.
func (w *world) objects(t *testing.T) map[string]string {
	t.Helper()
	found, dir := map[string]string{}, w.s3.BucketDir(w.bucket)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		sum := sha256.Sum256(text)
		found[name] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// awaitRest returns the stores as they are when their owner has nothing left to
// do: the same over a second.
func (w *world) awaitRest(t *testing.T) (at state) {
	t.Helper()
	since := time.Now()
	at = w.state(t)
	eventually(t, "the stores are at rest", func() bool {
		if now := w.state(t); !now.equal(at) {
			at, since = now, time.Now()
		}
		return time.Since(since) > time.Second
	})
	return at
}

// heartBeat is the epoch of the owner and its last heart-beat, in seconds by
// the database's clock.
func (w *world) heartBeat(t *testing.T) (epoch int, seconds float64) {
	t.Helper()
	w.query(t, `SELECT epoch, extract(epoch FROM renewed)::float8 FROM dittofs.lease`,
		func(rows pgx.Rows) error { return rows.Scan(&epoch, &seconds) })
	return epoch, seconds
}

// awaitTakeover returns how long the lease was silent before another took it.
func (w *world) awaitTakeover(t *testing.T) time.Duration {
	t.Helper()
	epoch, last := w.heartBeat(t)
	silent := 0.0
	eventually(t, "another owns the stores", func() bool {
		now, beat := w.heartBeat(t)
		if now == epoch {
			last = beat
		}
		silent = beat - last
		return now != epoch
	})
	return time.Duration(silent * float64(time.Second)).Round(time.Millisecond)
}

// difference describes what is not the same in two maps.
func difference(before, after map[string]string) (changed []string) {
	for name, value := range before {
		if now, ok := after[name]; !ok {
			changed = append(changed, fmt.Sprintf("%q is gone", name))
		} else if now != value {
			changed = append(changed, fmt.Sprintf("%q was changed", name))
		}
	}
	return changed
}

func added(before, after map[string]string) (names []string) {
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}
