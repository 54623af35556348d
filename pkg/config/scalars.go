package config

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// sizeUnits are the suffixes of a Size. Binary units come first, largest
// first, because formatting takes the first that divides the value.
var sizeUnits = []struct {
	suffix string
	bytes  uint64
}{
	{"PiB", 1 << 50},
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"PB", 1e15},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

const binaryUnits = 5

// ParseSize reads a number of bytes: 1048576, 64MiB, 10GiB, 1TiB or 5GB.
func ParseSize(s string) (Size, error) {
	refuse := func() (Size, error) {
		return 0, fmt.Errorf("%s is not a size in bytes (examples: 1048576, 64MiB, 10GiB, 5GB)", quote(s))
	}
	digits := strings.TrimRight(s, "BbKkMmGgTtPpEeiI ")
	suffix := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return refuse()
	}
	unit := uint64(1)
	if suffix != "" {
		unit = 0
		for _, u := range sizeUnits {
			if u.suffix == suffix {
				unit = u.bytes
			}
		}
		if unit == 0 {
			return refuse()
		}
	}
	hi, lo := bits.Mul64(n, unit)
	if hi != 0 || lo > math.MaxInt64 {
		return 0, fmt.Errorf("%s is too large (at most 8191PiB)", quote(s))
	}
	return Size(lo), nil
}

// String is the shortest exact form with a binary unit, such as 10GiB, or the
// plain number of bytes.
func (s Size) String() string {
	if s > 0 {
		for _, u := range sizeUnits[:binaryUnits] {
			if uint64(s)%u.bytes == 0 {
				return strconv.FormatUint(uint64(s)/u.bytes, 10) + u.suffix
			}
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes the form of String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// Duration returns d as a time.Duration.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// String is the form of time.Duration, such as 1m30s.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%s is not a duration (examples: 30s, 1m30s)", quote(string(text)))
	}
	*d = Duration(v)
	return nil
}

// quote quotes a value for a message and shortens what is too long for a line.
func quote(s string) string {
	const most = 120
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
