package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// scale is how much an attacker sends.
type scale int

const (
	small scale = iota // fits in continuous integration
	full
)

func parseScale(s string) (scale, error) {
	switch s {
	case "small":
		return small, nil
	case "full":
		return full, nil
	}
	return 0, fmt.Errorf("%q is neither small nor full", s)
}

func (s scale) duration() time.Duration {
	if s == small {
		return 1500 * time.Millisecond
	}
	return 12 * time.Second
}

// descriptors are those that this program keeps for itself, beside the connections of attackers.
const descriptors = 500

// affordable is n connections, or as many as this process may have open.
func affordable(n int) int {
	var limit unix.Rlimit // Go has raised it to the hard limit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return n
	}
	return min(n, max(1, int(min(limit.Cur, 1<<20))-descriptors))
}
