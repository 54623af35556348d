package printable

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// hostile are names as an attacker makes them.
var hostile = []string{
	"a\nfault: export:/b: gone [name]", "a\rno faults", "a\x1b[2K\x1b[1A", "a\u009b2J", "a\x00", "a\x7f", "a\t", "a\vb\f",
	"a\xff", "a\xfe", "\xed\xa0\x80", "a\u202egnp.exe", "a\u2066b\u2069", "a\u200eb", "a\u200b", "a\ufeff", "a\u00a0b",
	"a\u2028b\u2029", "a\U000e0041",
}

// harmless are names that a person reads as they are.
var harmless = []string{"a", "/export/a b.txt", `it's "new"`, `C:\dir`, "Müller", "日本語", "\ufffd", "🙂", ""}

func TestWhatDoesNotShowAsItselfIsQuoted(t *testing.T) {
	for _, name := range hostile {
		for _, f := range []func(string) string{Text, wordOf, Line} {
			got := f(name)
			if !showsAsItself(got) {
				t.Errorf("%+q gives %+q, which still has a character that does not show", name, got)
			}
			if back, err := strconv.Unquote(got); err != nil || back != name {
				t.Errorf("%+q gives %+q, from which %+q (%v) comes back", name, got, back, err)
			}
		}
	}
	for _, name := range harmless {
		if Text(name) != name || Line(name) != name {
			t.Errorf("%q is quoted as %q", name, Text(name))
		}
	}
}

// wordOf is a name in the middle of a sentence.
func wordOf(name string) string { return Word(Text(name)) }

func showsAsItself(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

func TestNamesThatDifferDoNotPrintAlike(t *testing.T) {
	names := slices.Concat(hostile, harmless, []string{"a\ufffd", " a", "a ", `"a"`, `"a\xff"`, `a\xff`})
	for _, name := range hostile {
		names = append(names, Text(name), Text(Text(name)), strings.Trim(Text(name), `"`))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for what, f := range map[string]func(string) string{"Text": Text, "Word": wordOf} {
		seen := map[string]string{}
		for _, name := range names {
			got := f(name)
			if other, twice := seen[got]; twice {
				t.Errorf("%s: %+q and %+q are both printed as %s", what, name, other, got)
			}
			seen[got] = name
		}
	}
}

func TestAWordDoesNotPassForTheSentenceAroundIt(t *testing.T) {
	for _, name := range []string{"b: no bytes are lost [ok]", "", " ", "a b"} {
		if got := wordOf(name); got != strconv.Quote(name) {
			t.Errorf("%q is printed as %s", name, got)
		}
	}
}

func TestWhatLeavesTheProcessIsQuotedOnce(t *testing.T) {
	for _, name := range slices.Concat(hostile, harmless) {
		if got := Line(Text(name)); got != Text(name) {
			t.Errorf("%+q is quoted twice: %s", name, got)
		}
	}
	if got, want := Lines("shares[0]: a\nb \x1b[1m"), "shares[0]: a\n\"b \\x1b[1m\""; got != want {
		t.Errorf("lines are printed as %q, want %q", got, want)
	}
}

func TestJSONKeepsItsValuesAndShowsOnlyWhatIsPrintable(t *testing.T) {
	for _, name := range slices.Concat(hostile, harmless) {
		text, err := json.MarshalIndent(map[string]string{"name": name}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var before, after map[string]string
		if err := json.Unmarshal(text, &before); err != nil {
			t.Fatal(err)
		}
		got := JSON(text)
		if !showsAsItself(strings.ReplaceAll(string(got), "\n", "")) {
			t.Errorf("%+q is printed as %+q", text, got)
		}
		if err := json.Unmarshal(got, &after); err != nil || after["name"] != before["name"] {
			t.Errorf("%+q became %+q (%v)", before["name"], after["name"], err)
		}
	}
}

func FuzzNames(f *testing.F) {
	for i, name := range hostile {
		f.Add(name, hostile[(i+1)%len(hostile)])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if a != b && (Text(a) == Text(b) || wordOf(a) == wordOf(b)) {
			t.Errorf("%+q and %+q are printed alike, as %s or %s", a, b, Text(a), wordOf(a))
		}
		for _, s := range []string{Text(a), wordOf(a), Line(a), Word(a)} {
			if !showsAsItself(s) {
				t.Errorf("%+q is printed as %+q", a, s)
			}
		}
	})
}
