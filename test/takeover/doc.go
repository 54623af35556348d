// Package takeover runs two real servers on one PostgreSQL database and one S3
// bucket, and changes which of them owns the stores: invariant 3 of the
// architecture, from outside. It has tests only. They build cmd/dittofs, so
// that a server can be held and killed as a process, and compare what lies in
// the database and the bucket before and after a server that has lost them goes
// on.
package takeover
