// Package format is the layout of segments, and of what the metadata store says
// of them and of files: encoding, checksums, and finding the records of a
// segment. It knows no store and keeps no state.
//
//	extent.go    Extent, SegmentID, and their keys and values in the metadata store
//	entry.go     SegmentEntry: what the metadata store says of a sealed segment
//	names.go     names of segments in the content store and in the journal
//	record.go    the header of a segment, and of a record
//	footer.go    Footer: the block checksums of a sealed segment
//	verified.go  reading a footer, and extents by it
//	scan.go      Scan: records and blocks of a segment that has no footer yet
//	walk.go      Walker: the records of a segment that has one
package format
