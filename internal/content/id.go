package content

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// CheckID returns why id is no object name, nil if it is one. Every backend
// checks the names it is given, so that none depends on what only one of them
// would take.
func CheckID(id string) error {
	if id == "" || len(id) > MaxID {
		return fmt.Errorf("object name of %d bytes, not 1 to %d", len(id), MaxID)
	}
	for i := range len(id) {
		if c := id[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '/') {
			return fmt.Errorf("object name %q has a character outside [a-z0-9-./]", id)
		}
	}
	for part := range strings.SplitSeq(id, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("object name %q has the component %q", id, part)
		}
	}
	return nil
}

// CheckInstance returns why instance cannot Claim a store, nil if it can.
func CheckInstance(instance string) error {
	if b, err := hex.DecodeString(instance); err != nil || len(b) != 16 || strings.ToLower(instance) != instance {
		return fmt.Errorf("instance %q is not 16 bytes in lower-case hex", instance)
	}
	return nil
}
