package main

import (
	"fmt"
	"strconv"
)

// unit says what a row counts, and how it is shown.
type unit int

const (
	calls  unit = iota // and the like, a second
	bytes              // a second
	micros             // a time, in microseconds
	runs               // a second; shown as the time of one
)

func (u unit) rate(v float64) string {
	switch u {
	case bytes:
		return fmt.Sprintf("%.2f GiB/s", v/(1<<30))
	case runs:
		return fmt.Sprintf("%.2f s", 1/v)
	case micros:
		return fmt.Sprintf("%.0f µs", v)
	}
	return thousands(int(v+0.5)) + "/s"
}

// cost shows seconds for each unit.
func (u unit) cost(v float64) string {
	switch u {
	case bytes:
		return fmt.Sprintf("%.2f s/GiB", v*(1<<30))
	case runs:
		return fmt.Sprintf("%.2f s", v)
	}
	return fmt.Sprintf("%.1f µs", v*1e6)
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

func mib(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

// mebibytes is a flag of that unit.
func mebibytes(to *int64, standard int64) func(string) error {
	*to = standard << 20
	return func(s string) error {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of MiB", s)
		}
		*to = n << 20
		return nil
	}
}
