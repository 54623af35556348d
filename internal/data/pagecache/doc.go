// Package pagecache reads segments that are in the content store: verified, by
// many at once with one request for what they have in common, and ahead of those
// who read in order. If the store is far away it keeps pages of what it read in
// files of the journal's directory, and gives them up for the journal.
//
//	cache.go          Cache: what it needs of others, reading an extent
//	footers.go        footers of segments, in memory
//	copies.go         pages that are here, and which of them was not used for longest
//	fetch.go          fetching pages and footers; everybody who needs one waits for the same
//	fetched.go        what was fetched stays in memory for a while
//	readers.go        who reads in order, and what they will want next
//	window.go         how far ahead of a reader is fetched
//	segmentreader.go  a segment from one end to the other, for a compaction
//
// It imports format and the contract of content stores. Room on the disk it asks
// of whoever shares it, by the interface Room.
//
// Locks, in the order in which they are taken: pageCache.mu and segmentCopy.mu
// are never held together with another one's of their kind; fetcher.mu is taken
// alone; footerCache.mu under fetcher.mu; handleCache.mu under segmentCopy.mu. No
// lock is held while the content store is asked.
package pagecache
