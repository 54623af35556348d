package s3

import (
	"maps"
	"slices"
	"sync/atomic"
)

// Operations of S3 that are used, by their names in its API.
const (
	opGet      = "GetObject"
	opPut      = "PutObject"
	opDelete   = "DeleteObject"
	opList     = "ListObjectsV2"
	opCreate   = "CreateMultipartUpload"
	opPart     = "UploadPart"
	opComplete = "CompleteMultipartUpload"
	opAbort    = "AbortMultipartUpload"

	opListUploads = "ListMultipartUploads"
)

var operations = []string{opGet, opPut, opDelete, opList, opCreate, opPart, opComplete, opAbort, opListUploads}

// Stats are counts since the store was opened.
type Stats struct {
	// Requests counts what was sent, by the operation's name in the S3 API;
	// every try counts.
	Requests map[string]int64
	// Errors counts the tries that failed, whatever came of the next one. An
	// answer that there is no such object, or one already, is none.
	Errors int64
	// Retries counts the requests that repeat a failed one.
	Retries int64
	// BytesSent and BytesReceived count bodies.
	BytesSent, BytesReceived int64
	// InFlight is the number of requests that wait for their answer now.
	InFlight int64
}

type counters struct {
	requests                                  map[string]*atomic.Int64 // constant
	errors, retries, sent, received, inFlight atomic.Int64
}

func newRequestCounters() map[string]*atomic.Int64 {
	m := make(map[string]*atomic.Int64, len(operations))
	for _, op := range operations {
		m[op] = new(atomic.Int64)
	}
	return m
}

// Stats returns the counts up to now.
func (s *Store) Stats() Stats {
	c := &s.counters
	out := Stats{
		Requests: make(map[string]int64, len(operations)), Errors: c.errors.Load(), Retries: c.retries.Load(),
		BytesSent: c.sent.Load(), BytesReceived: c.received.Load(), InFlight: c.inFlight.Load(),
	}
	for _, op := range slices.Sorted(maps.Keys(c.requests)) {
		out.Requests[op] = c.requests[op].Load()
	}
	return out
}
