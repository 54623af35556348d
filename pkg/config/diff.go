package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// AppliesLive reports whether a change of the key at path (such as
// logging.level) is applied while the server runs; others need a restart.
func AppliesLive(path string) bool {
	return strings.HasPrefix(path, "shares") || strings.HasPrefix(path, "logging") || path == ExpectedInstanceKey
}

// Diff names the keys that differ between two complete configurations: those
// that apply while running, and those that need a restart. Shares are
// identified by name, as shares[export].quota.bytes; one that was added,
// removed or renamed is named as a whole. Their order has no meaning.
func Diff(old, new *Config) (live, restart []string) {
	var changed []string
	a, b := *old, *new
	a.Shares, b.Shares = nil, nil
	diffValues(reflect.ValueOf(a), reflect.ValueOf(b), "", &changed)
	changed = append(changed, diffShares(old.Shares, new.Shares)...)
	for _, path := range changed {
		if AppliesLive(path) {
			live = append(live, path)
		} else {
			restart = append(restart, path)
		}
	}
	return live, restart
}

func diffShares(old, new []Share) []string {
	byName := map[string]Share{}
	for _, s := range new {
		byName[s.Name] = s
	}
	var changed []string
	for _, s := range old {
		at := fmt.Sprintf("shares[%s]", s.Name)
		if now, kept := byName[s.Name]; kept {
			diffValues(reflect.ValueOf(s), reflect.ValueOf(now), at, &changed)
			delete(byName, s.Name)
		} else {
			changed = append(changed, at)
		}
	}
	for _, s := range new {
		if _, added := byName[s.Name]; added {
			changed = append(changed, fmt.Sprintf("shares[%s]", s.Name))
		}
	}
	return changed
}

// diffValues appends the paths of the keys that differ; a list is one key.
func diffValues(a, b reflect.Value, path string, changed *[]string) {
	if a.Kind() != reflect.Struct {
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			*changed = append(*changed, path)
		}
		return
	}
	for _, k := range keysOf(a.Type()) {
		diffValues(a.Field(k.index), b.Field(k.index), joinPath(path, k.name), changed)
	}
}

// RestartHash identifies the parts of a complete configuration whose change
// needs a restart: equal hashes, nothing to restart for. It is 16 hexadecimal
// digits.
func RestartHash(c *Config) string {
	part := *c
	part.Shares, part.Logging, part.Metadata.ExpectedInstance = nil, Logging{}, ""
	text, err := json.Marshal(part)
	if err != nil {
		panic(fmt.Sprintf("config: a Config cannot be encoded: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
