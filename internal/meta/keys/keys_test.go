package keys

import (
	"slices"
	"testing"
)

// Stores that exist hold these keys: another byte or name would lose what is
// under it. That no prefix is given twice the compiler sees to, since Owners
// would have one key twice.
func TestKeysAreThoseOfExistingStores(t *testing.T) {
	var prefixes []byte
	for b, owner := range Owners {
		if owner == "" {
			t.Errorf("prefix %q has no owner", b)
		}
		prefixes = append(prefixes, b)
	}
	slices.Sort(prefixes)
	if want := "Gcdghiloux"; string(prefixes) != want {
		t.Errorf("prefixes %q, want %q", prefixes, want)
	}
	want := []string{"cformat", "chandle-key", "cnext-inode", "cnext-share", "cinstance", "crestoring", "cgeneration"}
	if !slices.Equal(Settings, want) {
		t.Errorf("settings %q, want %q", Settings, want)
	}
}

func TestSettingsDiffer(t *testing.T) {
	sorted := slices.Sorted(slices.Values(Settings))
	if n := len(slices.Compact(sorted)); n != len(Settings) {
		t.Errorf("%d of %d settings have a name of their own", n, len(Settings))
	}
}
