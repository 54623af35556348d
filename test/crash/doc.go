// Package crash kills a real server again and again while clients write to it, and verifies what it acknowledged:
// invariant 1 of the architecture, from outside. It has tests only. They build cmd/dittofs, so that a kill is a real
// one, of a process with its own page cache and journal, and talk to it with the raw client of test/nfsclient, which
// neither caches nor retries.
package crash
