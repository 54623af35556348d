package nearest

import "testing"

func TestTheNearestNameIsTheOneThatWasMeant(t *testing.T) {
	flags := []string{"config", "output", "rate", "socket", "wait-for-stores"}
	for name, want := range map[string]string{
		"confg": "config", "cofnig": "config", "Config": "config", "outptu": "output", "rat": "rate",
		"wait-for-store": "wait-for-stores",
		"frobnicate":     "", "": "", "x": "",
	} {
		if got := Name(name, flags); got != want {
			t.Errorf("%q is taken for %q, want %q", name, got, want)
		}
	}
}
