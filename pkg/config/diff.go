package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// When says when a change of a key is applied.
type When string

// A change is applied while the server runs, or by its next start, or never to
// what is there already: it is for what is made later.
const (
	Live    When = "live"
	Restart When = "restart"
	AtBirth When = "new shares"
)

// AppliesWhen says when a change of the key at path (such as logging.level, or
// shares[export].quota.bytes) is applied.
func AppliesWhen(path string) When {
	key, inShare, _ := strings.Cut(path, "].")
	switch {
	case strings.HasPrefix(key, "shares[") && (inShare == "root" || strings.HasPrefix(inShare, "root.")):
		return AtBirth
	case strings.HasPrefix(path, "shares"), strings.HasPrefix(path, "logging"), path == ExpectedInstanceKey:
		return Live
	}
	return Restart
}

// Diff names the keys that differ between two complete configurations, by when
// the change applies. Shares are identified by name, as
// shares[export].quota.bytes; one that was added, removed or renamed is named as
// a whole. Their order has no meaning.
func Diff(old, new *Config) map[When][]string {
	var changed []string
	a, b := *old, *new
	a.Shares, b.Shares = nil, nil
	diffValues(reflect.ValueOf(a), reflect.ValueOf(b), "", &changed)
	changed = append(changed, diffShares(old.Shares, new.Shares)...)
	keys := map[When][]string{}
	for _, path := range changed {
		when := AppliesWhen(path)
		keys[when] = append(keys[when], path)
	}
	return keys
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
