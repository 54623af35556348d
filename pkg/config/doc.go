// Package config is the one schema of config.yaml: the server loads it and the
// Kubernetes operator renders it with the same types, so the two cannot drift.
// It imports nothing of this module.
//
// Loading is strict. Every fault of a file is found and reported as one line
// that names the key, the place and the fix; nothing is guessed:
//
//	cfg, warnings, err := config.Load("config.yaml", os.Environ())
//	// err: shares[1].clients[0].cidr: "10.0.0.0/33" is not a CIDR (example: 10.0.0.0/8) (line 14)
//	//      unknown key cache.pth (line 2); did you mean cache.path?
//
// Any key can be overridden by an environment variable: cache.path by
// DITTOFS_CACHE_PATH, shares[0].read_only by DITTOFS_SHARES_0_READ_ONLY.
package config

//go:generate go run ./internal/gen -schema schema.json -reference ../../docs/reference/config.md
