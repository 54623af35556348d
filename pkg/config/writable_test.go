package config_test

import (
	"strings"
	"testing"

	"github.com/dittofs/dittofs/pkg/config"
)

// shareWarnings are the warnings for a configuration whose only share has more keys.
func shareWarnings(t *testing.T, more string) string {
	t.Helper()
	_, warnings, err := config.Parse([]byte("cache: {path: /c}\nshares:\n  - {name: a"+more+"}\n"), nil)
	if err != nil {
		t.Fatalf("%s: %v", more, err)
	}
	return warnings.String()
}

func TestAShareThatNobodyCanWriteIsWarnedOf(t *testing.T) {
	const fix = `; set root.mode to "1777" (everybody, as in /tmp), or root.uid and root.gid to who shall write, or squash to none`
	for more, want := range map[string]string{
		"":                              "root with mode 0755 and root is squashed",
		", root: {mode: '0700'}":        "root with mode 0700 and root is squashed",
		", root: {mode: '0770'}":        "root with mode 0770 and root is squashed", // group 0 is squashed as root is
		", root: {mode: '0752'}":        "root with mode 0752 and root is squashed", // write without search
		", squash: all":                 "root with mode 0755 and everybody is squashed to 65534:65534",
		", squash: all, root: {uid: 7}": "user 7 with mode 0755 and everybody is squashed to 65534:65534",
		", squash: all, anonymous: {uid: 5, gid: 6}, root: {gid: 6, mode: '0750'}": "root with mode 0750 and everybody is squashed to 5:6",
	} {
		want = "shares[0]: the top directory belongs to " + want +
			": nobody can write, unless it was opened since (line 3)" + fix
		if got := shareWarnings(t, more); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", more, got, want)
		}
	}
}

func TestAShareThatSomebodyCanWriteOrThatIsReadOnlyIsNotWarnedOf(t *testing.T) {
	for _, more := range []string{
		", root: {mode: '1777'}", ", root: {mode: '0757'}", ", squash: none", ", root: {uid: 1000}",
		", root: {uid: 1000, mode: '0500'}",
		", root: {gid: 100, mode: '2770'}", ", anonymous: {uid: 0, gid: 0}", ", squash: all, root: {uid: 65534}",
		", squash: all, root: {gid: 65534, mode: '0775'}",
		", squash: all, root: {mode: '0777'}", ", squash: all, anonymous: {uid: 0, gid: 0}",
		", read_only: true", ", clients: [{cidr: 10.0.0.0/8, access: ro}]",
	} {
		if got := shareWarnings(t, more); got != "" {
			t.Errorf("%s: %s", more, got)
		}
	}
	if got := shareWarnings(t, ", clients: [{cidr: 10.0.0.0/8, access: ro}, {cidr: 192.168.0.0/16}]"); !strings.Contains(
		got, "nobody can write") {
		t.Errorf("a client that may write is not warned: %q", got)
	}
}
