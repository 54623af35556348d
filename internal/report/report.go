// Package report holds what a running server answers to status, shares, clients,
// gc and backup: the server writes it and the command line reads it, so that the two
// cannot drift. Its JSON is what --output json prints, so names stay. It imports
// pkg/health alone.
package report

import (
	"time"

	"github.com/dittofs/dittofs/pkg/health"
)

// StatusRequest asks for Status Count times, every Interval.
type StatusRequest struct {
	// Count of reports; 0 for no end.
	Count int `json:"count"`
	// Interval between reports, over which rates are measured: 100 ms to 1 h.
	Interval Seconds `json:"interval_seconds"`
}

// Seconds is a time.Duration that JSON shows as a number of seconds.
type Seconds float64

// Of is d in seconds.
func Of(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Duration is s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Status is a server at one moment.
type Status struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Uptime  Seconds   `json:"uptime_seconds"`
	NFS     string    `json:"nfs"` // address
	// Health is what /readyz says.
	Health     health.Report `json:"health"`
	Durability string        `json:"durability"`
	Metadata   string        `json:"metadata"` // type of store
	Content    string        `json:"content"`  // type of store
	Shares     []Share       `json:"shares"`
	Clients    Totals        `json:"clients"`
	Operations Operations    `json:"operations"`
	Data       Data          `json:"data"`
}

// Totals count the clients.
type Totals struct {
	Addresses   int `json:"addresses"`
	Connections int `json:"connections"`
}

// Operations are calls since the start, and their rates over the last Interval.
type Operations struct {
	Interval   Seconds     `json:"interval_seconds"`
	Total      uint64      `json:"total"`
	PerSecond  float64     `json:"per_second"`
	InBytes    uint64      `json:"in_bytes"`  // of calls
	OutBytes   uint64      `json:"out_bytes"` // of replies
	InRate     float64     `json:"in_bytes_per_second"`
	OutRate    float64     `json:"out_bytes_per_second"`
	Procedures []Procedure `json:"procedures"` // those that were called, the busiest first
}

// Procedure is one procedure of a program.
type Procedure struct {
	Program   string  `json:"program"`
	Name      string  `json:"name"`
	Total     uint64  `json:"total"`
	PerSecond float64 `json:"per_second"`
}

// Data is what the data store holds and has to do.
type Data struct {
	// DirtyBytes and DirtyFiles are written and not committed yet.
	DirtyBytes int64 `json:"dirty_bytes"`
	DirtyFiles int   `json:"dirty_files"`
	// Upload is how far the content store is behind the journal.
	Upload Upload `json:"upload"`
	Cache  Cache  `json:"cache"`
	// Segments are known, DeadSegments of them wait to be deleted, and
	// ExpectedSegments are nowhere: a server before this one may still be sending
	// the object.
	Segments         int `json:"segments"`
	DeadSegments     int `json:"dead_segments"`
	ExpectedSegments int `json:"expected_segments"`
	// ContentErrors are failed operations of the content store since the start.
	ContentErrors uint64 `json:"content_errors"`
}

// Upload is what waits for the content store: segments that it does not have.
// Lag is the age of the oldest bytes in them, 0 if there are none.
type Upload struct {
	Lag      Seconds `json:"lag_seconds"`
	Bytes    int64   `json:"bytes"`
	Segments int     `json:"segments"`
}

// Cache is what is under cache.path, in bytes.
type Cache struct {
	Path    string `json:"path"`
	Limit   int64  `json:"limit_bytes"`
	Journal int64  `json:"journal_bytes"` // not in the content store; cannot be evicted
	Pages   int64  `json:"pages_bytes"`   // copies of what is
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
}

// Share is one share as it is served now.
type Share struct {
	Name     string        `json:"name"`
	Path     string        `json:"path"`
	ReadOnly bool          `json:"read_only"`
	Squash   string        `json:"squash"`
	Clients  []ShareClient `json:"clients"`
	// Root is the top directory.
	Root Root `json:"root"`
	// Mounted by how many addresses, as far as clients tell.
	Mounted int   `json:"mounted"`
	Bytes   Usage `json:"bytes"`
	Inodes  Usage `json:"inodes"`
}

// RootRequest asks for a change of the top directory of a share; nil leaves
// something as it is.
type RootRequest struct {
	Share string  `json:"share"`
	UID   *uint32 `json:"uid,omitempty"`
	GID   *uint32 `json:"gid,omitempty"`
	Mode  *string `json:"mode,omitempty"` // octal, as in shares[].root.mode
}

// RootChange is the top directory of a share before and after it was changed.
type RootChange struct {
	Share  string `json:"share"`
	Before Root   `json:"before"`
	After  Root   `json:"after"`
}

// Root is owner and mode of a share's top directory, as in shares[].root.
type Root struct {
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Mode string `json:"mode"`
}

// ShareClient is an entry of shares[].clients.
type ShareClient struct {
	CIDR   string `json:"cidr"`
	Access string `json:"access"`
	Secure bool   `json:"secure,omitempty"`
}

// Usage is what a share uses of its quota; Quota is 0 if it has none.
type Usage struct {
	Used  int64 `json:"used"`
	Quota int64 `json:"quota"`
}

// Client is one address with its open connections.
type Client struct {
	Address string `json:"address"`
	// Mounts are the paths that it has mounted, as far as it tells: a client that
	// died did not, and one that came back after a restart of the server needs not.
	// One that does not show as itself is quoted (printable.Text).
	Mounts      []string     `json:"mounts"`
	Connections []Connection `json:"connections"`
}

// Connection is a TCP connection of a client.
type Connection struct {
	Port     uint16    `json:"port"`
	Since    time.Time `json:"since"`
	Idle     Seconds   `json:"idle_seconds"` // since bytes came
	Calls    uint64    `json:"calls"`
	InBytes  uint64    `json:"in_bytes"`
	OutBytes uint64    `json:"out_bytes"`
}

// GCRequest asks for a collection.
type GCRequest struct {
	// GarbagePercent is how much of the stored bytes may stay dead: 1 to 100,
	// where 100 rewrites nothing.
	GarbagePercent int `json:"garbage_percent"`
}

// GC is the progress of a collection. In the last report Dead counts what could
// not be deleted, which the server tries again by itself.
type GC struct {
	Compacted int    `json:"compacted"`       // segments that were rewritten
	Rewritten int64  `json:"rewritten_bytes"` // of files, that lived in them
	Dead      int    `json:"dead"`            // segments that wait to be deleted
	Expected  int    `json:"expected"`        // segments of which the object may still come; nothing to delete yet
	Deleted   int    `json:"deleted"`         // segments
	Freed     int64  `json:"freed_bytes"`
	Error     string `json:"error,omitempty"` // of the last that could not be deleted
}

// OrphansRequest asks for the objects that no file and no backup uses.
type OrphansRequest struct {
	Delete bool `json:"delete"` // them, and not only list them
}

// OrphansLine is one line of the answer; one of the fields is set.
type OrphansLine struct {
	Orphan  *Orphan  `json:"orphan,omitempty"`
	Summary *Orphans `json:"summary,omitempty"` // the last line
}

// Orphan is an object of the content store that no file and no backup uses.
type Orphan struct {
	Object  string `json:"object"`
	Bytes   int64  `json:"bytes"`
	Deleted bool   `json:"deleted"`
}

// Orphans is what was found.
type Orphans struct {
	Orphans int   `json:"orphans"`
	Bytes   int64 `json:"bytes"`
	Kept    int   `json:"kept"`    // that no file uses, and a backup does or may
	Deleted bool  `json:"deleted"` // the orphans
}
