package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dittofs/dittofs/internal/fsck"
)

// barWidth is that of the bar in characters.
const barWidth = 24

// progressText is a bar with what it means.
func progressText(at fsck.Progress) string {
	count := func(n int64) string {
		if at.Stage == "bytes" {
			return bytesText(n)
		}
		return fmt.Sprint(n)
	}
	if at.Total <= 0 {
		return fmt.Sprintf("%s: %s", at.Stage, count(at.Done))
	}
	done := min(at.Done, at.Total)
	full := int(float64(barWidth) * float64(done) / float64(at.Total))
	return fmt.Sprintf("[%s%s] %3d%% %s: %s of %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full),
		int(100*float64(done)/float64(at.Total)), at.Stage, count(done), count(at.Total))
}

// summaryText ends a report for people. shown counts the faults of each kind
// that stand before it.
func summaryText(s *fsck.Summary, shown map[string]int64, repaired int64, scrub bool) string {
	var out strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(s.Kinds)) {
		if more := s.Kinds[kind] - shown[kind]; more > 0 {
			fmt.Fprintf(&out, "and %d more of the kind %s (--limit 0 shows all)\n", more, kind)
		}
	}
	if more := s.Repaired - repaired; more > 0 {
		fmt.Fprintf(&out, "and %d more were repaired (--limit 0 shows all)\n", more)
	}
	if scrub {
		fmt.Fprintf(&out, "read %s in %d segments, %d extents, in %.1f s\n", bytesText(s.Bytes), s.Segments, s.Extents, s.Seconds)
	} else {
		fmt.Fprintf(&out, "checked %d inodes, %d names, %d extents, %d segments and %d objects in %.1f s\n",
			s.Inodes, s.Names, s.Extents, s.Segments, s.Objects, s.Seconds)
	}
	if s.LostBytes > 0 {
		fmt.Fprintf(&out, "%d files lose %s: reading those bytes is an error until the files are removed or written again, and no other file is concerned\n",
			s.LostFiles, bytesText(s.LostBytes))
	}
	switch {
	case s.Faults > 0 && s.Repaired > 0:
		fmt.Fprintf(&out, "%d faults repaired, %d left\n", s.Repaired, s.Faults)
	case s.Faults > 0:
		fmt.Fprintf(&out, "%d faults\n", s.Faults)
	case s.Repaired > 0:
		fmt.Fprintf(&out, "%d faults repaired, none left\n", s.Repaired)
	default:
		out.WriteString("no faults\n")
	}
	return out.String()
}
