package faultproxy

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// Kind is what goes wrong with a request.
type Kind string

// Kinds of faults.
const (
	None        Kind = ""            // it passes, with the rule's latency
	Status500   Kind = "500"         // InternalError, not forwarded
	SlowDown    Kind = "503"         // SlowDown, not forwarded
	TooMany     Kind = "429"         // an empty answer, not forwarded
	Hang        Kind = "hang"        // no answer, ever; not forwarded
	ResetBefore Kind = "resetBefore" // connection reset, not forwarded
	ResetAfter  Kind = "resetAfter"  // forwarded and answered, but the connection is reset
	LostAnswer  Kind = "lostAnswer"  // forwarded and answered, but nothing comes back, ever
	Truncate    Kind = "truncate"    // the answer's body ends in its middle
	Slow        Kind = "slow"        // bodies pass at the rule's rate
	Replace     Kind = "replace"     // the rule's answer, not forwarded
)

// Kinds that Random chooses from, without those that take long.
var Kinds = []Kind{Status500, SlowDown, TooMany, ResetBefore, ResetAfter, Truncate}

// Rule is a fault for the requests that it matches.
type Rule struct {
	Kind Kind
	// Match chooses requests; nil takes all.
	Match func(*http.Request) bool
	// Skip lets so many matching requests pass first.
	Skip int
	// Times is how many requests it applies to; 0 is all.
	Times int
	// Latency is added before the request is forwarded.
	Latency time.Duration
	// Rate is that of Slow, in bytes/s.
	Rate int64
	// Answer is that of Replace.
	Answer Answer
	// Before runs before the request is forwarded: with it, the backend changes
	// at that moment.
	Before func()
	// Change may alter the header of the answer.
	Change func(http.Header)
}

// Answer is one that the proxy gives itself.
type Answer struct {
	Status            int
	ContentType, Body string
}

// S3Error is an answer as an S3 service writes it.
func S3Error(status int, code, message string) Answer {
	return Answer{status, "application/xml", `<?xml version="1.0" encoding="UTF-8"?>` +
		"<Error><Code>" + code + "</Code><Message>" + message + "</Message><RequestId>proxy</RequestId></Error>"}
}

// Op matches the requests of one operation.
func Op(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return Operation(r) == name }
}

// Operation is the name in the S3 API of what a request does.
func Operation(r *http.Request) string {
	q := r.URL.Query()
	upload := q.Has("uploadId")
	switch {
	case r.Method == http.MethodPut && upload:
		return "UploadPart"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && upload:
		return "CompleteMultipartUpload"
	case r.Method == http.MethodDelete && upload:
		return "AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return "DeleteObject"
	case r.Method == http.MethodGet && q.Has("uploads"):
		return "ListMultipartUploads"
	case r.Method == http.MethodGet && q.Has("list-type"):
		return "ListObjectsV2"
	case r.Method == http.MethodGet:
		return "GetObject"
	}
	return r.Method
}

// rules decide about each request. Not safe for concurrent use.
type rules struct {
	scripted    []Rule
	latency     time.Duration
	random      *rand.Rand
	probability float64
	kinds       []Kind
}

// decide is the first scripted rule that applies, else a random one.
func (s *rules) decide(r *http.Request) Rule {
	rule := s.choose(r)
	rule.Latency += s.latency
	return rule
}

func (s *rules) choose(r *http.Request) Rule {
	for i := range s.scripted {
		rule := &s.scripted[i]
		if rule.Times < 0 || rule.Match != nil && !rule.Match(r) {
			continue
		}
		if rule.Skip > 0 {
			rule.Skip--
			continue
		}
		if rule.Times > 0 {
			if rule.Times--; rule.Times == 0 {
				rule.Times = -1 // used up
			}
		}
		return *rule
	}
	if s.random != nil && s.random.Float64() < s.probability {
		return Rule{Kind: s.kinds[s.random.IntN(len(s.kinds))]}
	}
	return Rule{}
}
