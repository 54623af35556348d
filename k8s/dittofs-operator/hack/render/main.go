// Command render writes what is derived from the generated manifests:
// config/install.yaml, which is all of config in one file, and the reference of
// DittoServer in docs. It is run in the operator's folder by `make manifests`.
package main

import (
	"fmt"
	"os"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/manifests"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run() error {
	for _, output := range manifests.Outputs {
		text, err := output.Render(".")
		if err != nil {
			return fmt.Errorf("%s: %w", output.Path, err)
		}
		if err := os.WriteFile(output.Path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
