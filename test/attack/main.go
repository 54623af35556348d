// Command attack starts a real server, with the memory that the operator gives a pod of 1 GiB, and attacks it as
// anybody can who reaches its port, while a victim at another address goes on with its work. It shows that what is
// bounded stays so: a hostile client can neither end the server nor stop it from serving others.
//
//	attack [-scale small|full] [-only REGEXP] [-binary PATH] [-json FILE]
//	attack -list
//
// Each attack has a server of its own on loopback, with Pebble and a filesystem content store in a temporary folder.
// Attackers connect from 127.0.0.1, or from 127.0.1.1 onwards where several addresses attack, the victim from
// 127.0.0.2. An attack fails if
//
//   - the server ends, or has more memory than the pod's limit,
//   - a call of the victim gets NFS3ERR_IO or wrong bytes, or takes longer than 10 s, or one kind of its calls is never served,
//   - the log grows faster than 100 lines a second,
//   - the server does not serve a new client afterwards, keeps goroutines of the attack, or does not end in time.
//
// The victim's latency is told, and marked where p99 exceeds the goal of a second, but fails nothing: it is the
// machine's too. The exit code is 1 if an attack failed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/test/process"
)

type options struct {
	binary   string
	scale    scale
	only     *regexp.Regexp
	list     bool
	json     string
	duration time.Duration
}

func parse(args []string) (*options, error) {
	o := &options{scale: full}
	f := flag.NewFlagSet("attack", flag.ContinueOnError)
	f.StringVar(&o.binary, "binary", "", "path of the server to attack, such as one built from another commit; default: "+
		"built from this source")
	f.Func("scale", "small (some attacks, few connections, under a minute) or full (default full)",
		func(s string) (err error) {
			o.scale, err = parseScale(s)
			return err
		})
	f.BoolVar(&o.list, "list", false, "say what each attack sends, and attack nothing")
	f.StringVar(&o.json, "json", "", "file for the results as JSON")
	f.DurationVar(&o.duration, "duration", 0, "how long each attack takes; default: 1.5s at small scale, 12s at full")
	only := f.String("only", "", "regular expression of the attacks to run, of any scale")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	if *only == "" {
		o.only = nil
	}
	if f.NArg() > 0 || o.duration < 0 {
		return nil, errors.New("there are no arguments but flags, and -duration is positive; see -h")
	}
	if o.duration == 0 {
		o.duration = o.scale.duration()
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
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	chosen := choose(o)
	if len(chosen) == 0 {
		return errors.New("no attack is named so; see -list")
	}
	if o.list {
		return list(os.Stdout, chosen, o.scale)
	}
	dir, err := os.MkdirTemp("", "attack")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.binary == "" {
		if o.binary, err = process.Build(dir); err != nil {
			return err
		}
	}
	// An interrupted run tells what it has found so far.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	var results []*result
	for i, a := range chosen {
		began := time.Now()
		fmt.Fprintf(os.Stderr, "attack: %d of %d: %s\n", i+1, len(chosen), a.name)
		r, err := orInterrupted(interrupted, func() (*result, error) { return carryOut(a, o, fmt.Sprintf("%s/%d", dir, i)) })
		if errors.Is(err, errInterrupted) {
			return errors.Join(err, report(os.Stdout, results, o))
		}
		if err != nil {
			r = &result{Name: a.name, Sends: a.sends, Failures: []string{"not made: " + err.Error()}}
		}
		fmt.Fprintf(os.Stderr, "attack: %d of %d: %s: %s (%v)\n", i+1, len(chosen), a.name, r.Verdict(),
			rounded(time.Since(began)))
		results = append(results, r)
	}
	return report(os.Stdout, results, o)
}

var errInterrupted = errors.New("interrupted")

// orInterrupted is what f returns, unless a signal comes first: then f is left to itself, and its server ends with this
// process.
func orInterrupted(signals <-chan os.Signal, f func() (*result, error)) (r *result, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = f()
	}()
	select {
	case <-done:
		return r, err
	case <-signals:
		return nil, errInterrupted
	}
}
