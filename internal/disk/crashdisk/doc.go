// Package crashdisk is a disk in memory that can lose its power, for tests. It
// exists so that a test can stop the world at every single write and sync of
// the stores and look at what would be left.
//
// A Disk is a disk.FS, and by Pebble also the filesystem of a Pebble database,
// so that the journal, the content store and the metadata store live on one
// disk. Every change goes into one log, in one order. A Replay walks along it
// and gives at any point the disk that is left
//
//   - by Kill, the sudden death of the process: everything that was written,
//     with what was not synced still at risk;
//   - by PowerCut, the sudden death of the machine: what was synced, and of the
//     rest what a seed says.
//
// For example:
//
//	d := crashdisk.New(crashdisk.Options{})
//	runStoresOn(d)
//	for r := d.Replay(); r.Step(); {
//		check(openStoresOn(r.PowerCut(uint64(r.Pos()))))
//	}
//
// What a power cut may do is what POSIX allows and Linux filesystems do:
//
//   - Of the changes of a file since its last sync each may be lost, also
//     those before others that are kept, and a write may be torn between
//     sectors of 512 bytes. The size may have grown without the bytes, which
//     are zeros then, or not have grown with them.
//   - Names are durable after the sync of their directory, and that of a new
//     directory after the sync of the one above it. Of other changes of names
//     a part survives: some of the first ones or, as long as each name sees
//     its own changes in order, any. A rename is kept or lost as a whole.
//   - What a sync found dirty when it began is durable when it ends. After a
//     sync that failed it is lost or kept, and no later sync saves it.
//
// The package imports disk and Pebble's vfs, and is imported by tests only.
package crashdisk
