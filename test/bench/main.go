// Command bench measures a DittoFS server beside other NFS version 3 servers, with a raw client that costs less than
// they do: a few connections with many calls outstanding on each, in alternating rounds, so that what else the machine
// does falls on all alike. It reports each row of a table of goals as met or not.
//
//	go run ./test/bench                                                      our server alone, built for it
//	bench -server bin/dittofs -peer ganesha=127.0.0.1:12049,/vfs,12050,PID   with ratios to a peer
//
// hack/bench.sh (make bench) starts NFS-Ganesha as the peer. docs/performance.md explains the rows.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

type options struct {
	server string // path of the binary
	dir    string
	peer   *target
	out    string

	conns, depth, rounds int
	time                 time.Duration // of one measurement
	size                 int64         // bytes of the new file that is written
	entries              int           // of the directory that is listed
	removes              int           // files that a round removes
	files                int           // most that a server has
	clients              int           // most that it has
	tail                 time.Duration // at half of the peer's rate
	kclient              string        // path of hack/kclient/kclient.sh
	only                 *regexp.Regexp
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.server, "server", "", "path of the dittofs binary; default: built from this source")
	f.StringVar(&o.dir, "dir", "",
		"directory for the server's stores, on the disk that is to be measured; default: temporary")
	f.StringVar(&o.out, "out", "",
		"directory for bench.md, bench.json and bench.svg; default: the table on the terminal alone")
	f.Func("peer", "a server to compare with, name=host:port,/export[,mountport[,pid]]", func(s string) (err error) {
		o.peer, err = parseTarget(s)
		return err
	})
	f.IntVar(&o.conns, "conns", 4, "connections")
	f.IntVar(&o.depth, "depth", 16, "outstanding calls on each, where the row does not say")
	f.IntVar(&o.rounds, "rounds", 5, "rounds, of which the median counts")
	f.DurationVar(&o.time, "time", time.Second, "time of one measurement")
	f.Func("size", "MiB of the new file that is written (default 512; the goal is for 4096)", mebibytes(&o.size, 512))
	f.IntVar(&o.entries, "entries", 100_000, "entries of the directory that is listed")
	f.IntVar(&o.removes, "removes", 8_000, "files that are removed in a round")
	f.IntVar(&o.files, "files", 100_000, "files of the largest server (the goals are for 1000000)")
	f.IntVar(&o.clients, "clients", 1000, "clients of that server, and the most connections of the rows with many")
	f.DurationVar(&o.tail, "tail", 10*time.Second,
		"time at half of the peer's rate, for each server (the goals are for 1m)")
	f.StringVar(&o.kclient, "kclient", "", "path of hack/kclient/kclient.sh, for the rows of the kernel's client")
	only := f.String("only", "", "regular expression of the rows to measure")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if o.only, err = regexp.Compile("(?i)" + *only); err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	if o.conns < 1 || o.depth < 1 || o.depth > maxDepth/4 || o.rounds < 1 || o.files < 1000 ||
		o.clients < 10 || f.NArg() > 0 {
		return nil, fmt.Errorf("-conns and -rounds are 1 at least, -clients 10, -files 1000, -depth is 1 to %d, "+
			"and there are no arguments but flags", maxDepth/4)
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything that was asked for and reports it.
func run(o *options) error {
	temp, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o711); err != nil { // PostgreSQL runs as another user
		return err
	}
	r := newReport(o)
	if r.Results, err = measureAll(o, temp); err != nil {
		return err
	}
	r.finish()
	if err := r.table(os.Stdout); err != nil || o.out == "" {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	return errors.Join(r.write(filepath.Join(o.out, "bench.md"), r.markdown),
		r.write(filepath.Join(o.out, "bench.json"), r.json),
		r.write(filepath.Join(o.out, "bench.svg"), r.svg))
}
