//go:build race

package crashtest

// less is by how much less is tried under the race detector.
const less = 10
