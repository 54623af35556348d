package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

// The rows of clients that nobody here wrote.
const (
	rowLibnfsWrite = "libnfs: nfs-cp of a new file"
	rowLibnfsRead  = "libnfs: nfs-cat of it"
	rowKernel      = "kernel client"
)

// kernelSteps are what the kernel's client does, in one mount, one after the other.
var kernelSteps = []struct{ name, command string }{
	{"untar", "tar -xf /run/out/tree.tar"},
	{"cp -a", "cp -a linux copy"},
	{"find", "find . -newermt 2000-01-01 >/dev/null"},
	{"rm -rf", "rm -rf linux copy"},
}

// libnfs copies a file to each server and reads it back, by libnfs's own tools.
func libnfs(o *options, dir string) ([]*Result, error) {
	if o.peer == nil {
		return nil, nil
	}
	if _, err := exec.LookPath("nfs-cp"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no rows with libnfs:", err)
		return nil, nil
	}
	file := filepath.Join(dir, "libnfs")
	size := min(o.size, 256<<20)
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		return nil, err
	}
	tool := func(name string, args func(url string) []string) func(*bench) (sample, error) {
		return func(b *bench) (sample, error) {
			before, start := cpuSeconds(b.t.pid), time.Now()
			if out, err := exec.Command(name, args(b.t.url(b.name+"/libnfs"))...).CombinedOutput(); err != nil {
				return sample{}, fmt.Errorf("%s: %w: %.300s", name, err, out)
			}
			s := sample{units: float64(size), took: time.Since(start), cpu: cpuSeconds(b.t.pid) - before, rss: rss(b.t.pid)}
			s.value, s.cost = s.units/s.took.Seconds(), s.cpu/s.units
			return s, nil
		}
	}
	write := tool("nfs-cp", func(url string) []string { return []string{file, url} })
	cat := tool("sh", func(url string) []string { return []string{"-c", `exec nfs-cat "$1" >/dev/null`, "sh", url} })
	return withPeer(o, dir, func(benches []*bench) ([]*Result, error) {
		return inTurns(o, []row{
			{rowLibnfsWrite, goal{ratio: 1}, bytes, nil, func(b *bench) (sample, error) {
				if _, err := b.c.Remove(b.dir, "libnfs"); err != nil && err != nfsclient.ErrNoEnt { // nfs-cp makes new files alone
					return sample{}, err
				}
				return write(b)
			}},
			{rowLibnfsRead, goal{ratio: 1}, bytes, nil, cat},
		}, benches)
	})
}

// kernelRounds is the most: a round takes half a minute.
const kernelRounds = 3

// kernel has the Linux kernel's client in a guest work on a tree of small files. Each round is a mount of its own.
func kernel(o *options, dir string) ([]*Result, error) {
	if o.kclient == "" || o.peer == nil {
		return nil, nil
	}
	if out, err := exec.Command("tar", "-C", "/usr/include", "-cf", filepath.Join(dir, "tree.tar"),
		"linux").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("tar of /usr/include/linux: %w: %s", err, out)
	}
	var command strings.Builder
	for i, s := range kernelSteps {
		fmt.Fprintf(&command, "a=${EPOCHREALTIME/[.,]/}; %s; b=${EPOCHREALTIME/[.,]/}; echo step%d $((b - a)); ",
			s.command, i)
	}
	return withPeer(o, dir, func(benches []*bench) ([]*Result, error) {
		samples := make([][][]sample, len(kernelSteps)) // by step, then server, then round
		for i := range samples {
			samples[i] = make([][]sample, len(benches))
		}
		for round := range min(o.rounds, kernelRounds) {
			for at := range benches {
				at = (at + round) % len(benches)
				seen, err := guest(o.kclient, dir, benches[at].t,
					fmt.Sprintf("set -e; mkdir tree%[1]d; cd tree%[1]d; %[2]s", round, command.String()))
				if err != nil {
					return nil, fmt.Errorf("%s: %w", benches[at].t.name, err)
				}
				for i, s := range seen {
					samples[i][at] = append(samples[i][at], s)
				}
			}
		}
		var results []*Result
		for i, step := range kernelSteps {
			results = append(results, compare(&row{
				name: rowKernel + ": " + step.name, goal: goal{ratio: 1.2}, unit: runs,
			}, samples[i]))
		}
		return results, nil
	})
}

// guest runs a command in a mount of the server, and returns the rate of each step and what it cost the server.
func guest(script, dir string, t *target, command string) ([]sample, error) {
	host, port, err := net.SplitHostPort(t.addr)
	if err != nil || host != "127.0.0.1" {
		return nil, fmt.Errorf("the guest reaches 127.0.0.1 alone, not %s", t.addr)
	}
	_, mount, err := net.SplitHostPort(t.mount)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(script, port, "3", t.export, command)
	// NFS-Ganesha fails those of cp -a
	cmd.Env = append(os.Environ(), "MNTPORT="+mount, "TIMEOUT=300", "OUT="+dir, "OPTS=noacl")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	var steps []sample
	before := cpuSeconds(t.pid)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var i int
		var us float64
		if n, _ := fmt.Sscanf(lines.Text(), "step%d %f", &i, &us); n < 2 || i != len(steps) || us <= 0 {
			complaints.WriteString(lines.Text() + "\n")
			continue
		}
		now := cpuSeconds(t.pid)
		steps = append(steps, sample{units: 1, value: 1e6 / us, cpu: now - before, cost: now - before, rss: rss(t.pid)})
		before = now
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return nil, fmt.Errorf("%s: %w: %.1000s", script, err, complaints.String())
	}
	if len(steps) != len(kernelSteps) {
		return nil, fmt.Errorf("%s: %d of %d steps were timed: %.1000s", script, len(steps), len(kernelSteps),
			complaints.String())
	}
	return steps, nil
}
