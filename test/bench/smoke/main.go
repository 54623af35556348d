// Command smoke measures NFS version 3 servers beside each other with a raw
// client: a few connections with many calls outstanding on each, in
// alternating rounds, so that what else the machine does falls on all alike.
//
//	smoke -server bin/dittofs -target ganesha=127.0.0.1:12049,/vfs,12050
//
// Ratios are to the last target.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// target is a server's export. mount is the address of its MOUNT service.
type target struct{ name, addr, export, mount string }

type targets []target

func (t *targets) String() string { return fmt.Sprint(*t) }

func (t *targets) Set(s string) error {
	name, rest, ok := strings.Cut(s, "=")
	if !ok {
		name, rest = s, s
	}
	part := strings.Split(rest, ",")
	if len(part) < 2 || len(part) > 3 || !strings.HasPrefix(part[1], "/") {
		return errors.New("want [name=]host:port,/export[,mountport]")
	}
	host, _, err := net.SplitHostPort(part[0])
	if err != nil {
		return err
	}
	mount := part[0]
	if len(part) == 3 {
		mount = net.JoinHostPort(host, part[2])
	}
	*t = append(*t, target{name, part[0], part[1], mount})
	return nil
}

type options struct {
	targets targets
	server  string
	dir     string
	conns   int
	depth   int
	rounds  int
	time    time.Duration
	only    *regexp.Regexp
}

func main() {
	var o options
	var only string
	flag.Var(&o.targets, "target", "a server to measure, [name=]host:port,/export[,mountport]; may be repeated")
	flag.StringVar(&o.server, "server", "", "path of the dittofs binary: started on a free port, measured as the first target")
	flag.StringVar(&o.dir, "dir", "", "directory for that server's stores; default: temporary")
	flag.IntVar(&o.conns, "conns", 4, "connections")
	flag.IntVar(&o.depth, "depth", 16, "outstanding calls on each")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the median counts")
	flag.DurationVar(&o.time, "time", time.Second, "time of one measurement")
	flag.StringVar(&only, "only", "", "regular expression of the measurements to make")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile("(?i)" + only); err == nil {
		err = run(&o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	if o.server != "" {
		srv, err := startServer(o.server, o.dir)
		if err != nil {
			return err
		}
		defer srv.stop()
		o.targets = append(targets{srv.target}, o.targets...)
	}
	if len(o.targets) == 0 {
		return errors.New("nothing to measure: give -server or -target")
	}
	benches := make([]*bench, len(o.targets))
	for i, t := range o.targets {
		b, err := prepare(o, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		defer b.close()
		benches[i] = b
	}
	rates := map[string][][]float64{} // by measurement, then target, then round
	for round := range o.rounds {
		for _, m := range measurements {
			if !o.only.MatchString(m.name) {
				continue
			}
			if rates[m.name] == nil {
				rates[m.name] = make([][]float64, len(benches))
			}
			for i, b := range benches {
				rate, err := b.measure(&m)
				if err != nil {
					return fmt.Errorf("%s: %s, round %d: %w", o.targets[i].name, m.name, round+1, err)
				}
				rates[m.name][i] = append(rates[m.name][i], rate)
			}
		}
	}
	return report(o, rates)
}

func report(o *options, rates map[string][][]float64) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d × %d outstanding\t", o.conns, o.depth)
	for i, t := range o.targets {
		fmt.Fprintf(w, "%s\t", t.name)
		if i < len(o.targets)-1 {
			fmt.Fprint(w, "ratio\t")
		}
	}
	fmt.Fprintln(w)
	for _, m := range measurements {
		byTarget, ok := rates[m.name]
		if !ok {
			continue
		}
		last := median(byTarget[len(byTarget)-1])
		fmt.Fprintf(w, "%s\t", m.name)
		for i := range byTarget {
			rate := median(byTarget[i])
			fmt.Fprintf(w, "%s\t", m.show(rate))
			if i < len(byTarget)-1 {
				fmt.Fprintf(w, "%.2f\t", rate/last)
			}
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.SortFunc(v, cmp.Compare[float64])
	return v[len(v)/2]
}
