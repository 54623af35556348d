package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/printable"
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
		fmt.Fprintf(&out, "and %d more %s repaired (--limit 0 shows all)\n", more, printable.Number(more, "was", "were"))
	}
	if scrub {
		fmt.Fprintf(&out, "read %s in %s, %s, in %.1f s\n", bytesText(s.Bytes),
			printable.Count(s.Segments, "segment"), printable.Count(s.Extents, "extent"), s.Seconds)
	} else {
		fmt.Fprintf(&out, "checked %s, %s, %s, %s and %s in %.1f s\n",
			printable.Count(s.Inodes, "inode"), printable.Count(s.Names, "name"), printable.Count(s.Extents, "extent"),
			printable.Count(s.Segments, "segment"), printable.Count(s.Objects, "object"), s.Seconds)
	}
	if s.Held > 0 {
		fmt.Fprintf(&out, "%s without a name %s held open, and %s when nobody holds %s any more, "+
			"at the latest after a start\n",
			printable.Count(s.Held, "file"), printable.Number(s.Held, "was", "were"),
			printable.Number(s.Held, "goes", "go"), printable.Number(s.Held, "it", "them"))
	}
	if s.LostBytes > 0 {
		fmt.Fprintf(&out, "%s %s %s: reading those bytes is an error until the %s removed or written again, "+
			"and no other file is concerned\n",
			printable.Count(s.LostFiles, "file"), printable.Number(s.LostFiles, "loses", "lose"), bytesText(s.LostBytes),
			printable.Number(s.LostFiles, "file is", "files are"))
	}
	switch {
	case s.Faults > 0 && s.Repaired > 0:
		fmt.Fprintf(&out, "%s repaired, %d left\n", printable.Count(s.Repaired, "fault"), s.Faults)
	case s.Faults > 0:
		fmt.Fprintf(&out, "%s\n", printable.Count(s.Faults, "fault"))
	case s.Repaired > 0:
		fmt.Fprintf(&out, "%s repaired, none left\n", printable.Count(s.Repaired, "fault"))
	default:
		out.WriteString("no faults\n")
	}
	return out.String()
}
