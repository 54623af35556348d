// Package printable makes text fit to read. Most of it is for text from outside: names of files, paths
// that a client asked for, keys of a bucket, messages of another server. A name may
// hold any byte but "/" and NUL. Printed as it is, a line feed in it forges a line of
// a report, an escape sequence rewrites the terminal, a bidirectional control shows
// letters in another order, and two names that differ in bytes that are no UTF-8 look
// alike. For example Text("a\nfault: b") is `"a\nfault: b"`, in one line.
//
// Text is for the place where a name enters a report, an error or a log, once; Line
// and JSON are for the place where output leaves the process. It imports nothing of
// this module.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is s as it is, or quoted as in Go (and, but for \x and \U, in JSON) if it has
// anything that does not show as itself. Different names give different texts: one
// that begins with a quotation mark is quoted too.
func Text(s string) string {
	if strings.HasPrefix(s, `"`) || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return strconv.Quote(s)
	}
	return Line(s)
}

// Word is what Text gave, for the middle of a sentence or a list: a name with spaces
// is quoted too, and the empty one, so that it cannot pass for the words around it.
func Word(text string) string {
	if !strings.HasPrefix(text, `"`) && (text == "" || strings.Contains(text, " ")) {
		return strconv.Quote(text)
	}
	return Line(text)
}

// Line is s as it is if it is printable, and quoted otherwise. What Text and Word gave
// stays as it is.
func Line(s string) string {
	if plain(s) {
		return s
	}
	return strconv.Quote(s)
}

// Lines is Line for each line of s.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Line(line)
	}
	return strings.Join(lines, "\n")
}

// JSON escapes what is not printable in a JSON text, which may be indented. Programs
// read the same values from it.
func JSON(text []byte) []byte {
	if plain(strings.ReplaceAll(string(text), "\n", "")) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n' || strconv.IsPrint(r) && (r != utf8.RuneError || size > 1):
			out = append(out, text[:size]...)
		case r < 1<<16:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
		text = text[size:]
	}
	return out
}

// plain reports whether every character of s shows as itself.
func plain(s string) bool {
	for i, r := range s {
		if !strconv.IsPrint(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return false
		}
	}
	return true
}

// Count is a number of things: 1 file, 2 files. what is one of them, and takes an s.
func Count[T int | int64 | uint32 | uint64](n T, what string) string {
	return fmt.Sprintf("%d %s", n, Number(n, what, what+"s"))
}

// Number is the word that goes with n: that for one, or that for several.
func Number[T int | int64 | uint32 | uint64](n T, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}
