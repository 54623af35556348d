// Package segments checks the bytes of files: that the index's extents are sound
// and lie in segments that exist, and, with the segments at hand, that a whole
// record of the right file is where each extent says. It reads the index and the
// segments as they are stored, and starts no server.
//
//	check.go       the index: entries of segments, extents, live bytes
//	verify.go      the segments: which there are, and which extents lie in each
//	inspection.go  one segment: its footer, its records, its bytes
//	source.go      where segments are found: the journal, the content store
//	repairlive.go  RepairLive: the counters of live bytes made right
//
// It imports data/format and the contracts of meta and content.
package segments
