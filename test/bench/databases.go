package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/dittofs/dittofs/test/pgserver"
)

const (
	rowPostgresCreate = "CREATE with PostgreSQL beside Pebble"
	rowPostgresLookup = "LOOKUP, warm, with PostgreSQL beside Pebble"
)

var databaseRows = []row{
	{rowPostgresCreate, goal{ratio: 4, slower: true}, calls, nil, (*bench).creates},
	{rowPostgresLookup, goal{ratio: 1.1, slower: true}, calls, (*bench).makeNames, timed(0, func(b *bench, _ int) call { return lookup(b.names, names) })},
}

const inDatabase = `
cache:    {path: DIR/cache, size: 8GiB}
metadata: {type: postgres, dsn_file: DIR/dsn}
content:  {type: filesystem, path: DIR/content}
logging:  {level: warn}
`

// databases measures our server with a PostgreSQL that syncs, on this machine, beside our server with Pebble.
func databases(o *options, dir string) ([]*Result, error) {
	home, err := os.MkdirTemp(dir, "postgres-")
	if err != nil {
		return nil, err
	}
	pg, err := pgserver.Launch(home, pgserver.Options{Fsync: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: no rows with PostgreSQL:", err)
		return nil, nil
	}
	defer func() { _ = pg.Kill() }()
	ours, err := newOurs(o, dir, "in-postgres", inDatabase)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(ours.Dir, "dsn"), []byte(pg.DSN("postgres")), 0o600); err != nil {
		return nil, err
	}
	if _, err := ours.Start(); err != nil {
		return nil, err
	}
	defer kill(ours)
	other, err := startOurs(o, dir, "in-pebble")
	if err != nil {
		return nil, err
	}
	defer kill(other)
	return connected(o, []*target{targetOf("PostgreSQL", ours), targetOf("Pebble", other)},
		func(benches []*bench) ([]*Result, error) {
			return inTurns(o, databaseRows, benches)
		})
}
