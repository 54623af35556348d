// Package crashtest stops whole filesystems at every write and sync of their
// disk and looks for what they had acknowledged. It has tests only.
//
// A test runs a random workload over metadata in Pebble, the journal and a
// content store, all on one crashdisk, and remembers for every operation when
// it began and when it was acknowledged, in positions of the disk's log. Then
// it walks along the log: at each position it takes the disk that a kill or a
// power cut would leave, opens the filesystem on it and asks
//
//   - is everything there that was acknowledged before: names, attributes,
//     file handles, and for each block of each file one of the values that a
//     crash may leave, never those of another place and never zeros;
//   - does everything fit together: vfs.Check and data.Examine;
//   - does it also survive another crash in the middle of its recovery;
//   - does it go on working.
//
// All along, and at every stop, the pairs in the metadata cache are compared
// with those of the log: it has the least size, so that they come and go.
//
// The flags make it larger, and repeat what failed:
//
//	go test ./internal/crashtest -crash.all
//	go test ./internal/crashtest -crash.steps 2000 -crash.points 20000
//	go test ./internal/crashtest -run TestX -crash.replay /tmp/crash-123.gob
//
// A failure writes the log of the disk and the history to the file that it
// names, so that the same crash can be looked at again: goroutines do not run
// in the same order twice.
package crashtest
