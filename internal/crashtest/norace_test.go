//go:build !race

package crashtest

const less = 1
