package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// fsckLimit is how long a check of the little that a run has written may take.
const fsckLimit = 2 * time.Minute

// fsck lets the server check itself after everything that went wrong: not one complaint.
func (w *world) fsck(binary string) error {
	for _, command := range []string{"fsck", "scrub"} {
		ctx, cancel := context.WithTimeout(context.Background(), fsckLimit)
		cmd := exec.CommandContext(ctx, binary, command, "--config", filepath.Join(w.server.Dir, "config.yaml"))
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			return fmt.Errorf("dittofs %s: %w\n%s", command, err, out)
		}
		fmt.Printf("chaos: %s: dittofs %s: %s", w.name, command, out)
	}
	return nil
}
