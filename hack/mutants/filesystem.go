package main

// filesystem are faults of the filesystem, its checks and its backups.
var filesystem = []mutant{
	{
		name: "file-sync-before-metadata", file: "internal/vfs/flush.go",
		old: "if !left {\n\t\t\treturn ticket.Wait()",
		new: "if _ = ticket; !left {\n\t\t\treturn nil",
		pkg: "./internal/vfs", run: "TestAReplyComesAfterItsSyncs|TestNothingIsAcknowledgedOnceTheMetadataStoreFails",
	},
	{
		name: "extents-before-data", file: "internal/vfs/flush.go",
		old: "if err := fs.data.Sync(ctx, dirty, brief); err != nil {\n\t\t\treturn err\n\t\t}",
		new: "defer fs.data.Sync(ctx, dirty, brief)",
		pkg: "./internal/vfs", run: "TestAReplyComesAfterItsSyncs",
	},
	{
		name: "name-printed-as-it-is", file: "internal/fsck/report.go",
		old: "printable.Text(f.Path)",
		new: "f.Path",
		pkg: "./cmd/dittofs", run: "TestNamesForgeNothingInTheReportsOfFsckAndScrub",
	},
	{
		name: "want-of-descriptors-is-an-error", file: "internal/vfs/fs.go",
		old: "fault.Of(err) != nil, disk.Scarce(err),",
		new: "fault.Of(err) != nil, false && disk.Scarce(err),",
		pkg: "./internal/vfs", run: "TestAnErrorThatIsOverInAMomentAsksClientsToComeAgain",
	},
	{
		name: "listing-without-an-end", file: "internal/vfs/readdir.go",
		old: "if from.Cookie != 0 && from.End != 0 {",
		new: "if false {",
		pkg: "./internal/vfs", run: listingSuite,
	},
	{
		name: "rename-moves-an-entry-to-the-end", file: "internal/vfs/rename.go",
		old: "case m.from == m.to:\n\t\tb.Delete",
		new: "case false:\n\t\tb.Delete",
		pkg: "./internal/vfs", run: listingSuite,
	},
	{
		name: "replaced-name-moves-to-the-end", file: "internal/vfs/rename.go",
		old: "e.Cookie = m.targetEntry.Cookie",
		new: "b.Delete(layout.ListKey(m.to.ino, m.targetEntry.Cookie))\n\t\te.Cookie = m.to.rec.NextCookie\n\t\tm.to.rec.NextCookie++",
		pkg: "./internal/vfs", run: listingSuite,
	},
	{
		name: "attributes-without-search-permission", file: "internal/vfs/readdir.go",
		old: "attrs = attrs && searchable",
		new: "_ = searchable",
		pkg: "./internal/nfs/v3", run: "TestListingGivesNoHandleOfWhatCannotBeLookedUp",
	},
	{
		name: "reserve-not-asked-for-names", file: "internal/vfs/create.go",
		old: "\t\treturn nil, 0, err\n\t}\n\tif err := fs.reserve.Names(); err != nil {",
		new: "\t\treturn nil, 0, err\n\t}\n\tif err := error(nil); err != nil {",
		pkg: "./internal/vfs", run: "TestTheLastBytesOfADiskAreForRemovals",
	},
	{
		name: "reserve-not-asked-for-links", file: "internal/vfs/create.go",
		old: "\t\treturn EMLINK\n\t}\n\tif err := fs.reserve.Names(); err != nil {",
		new: "\t\treturn EMLINK\n\t}\n\tif err := error(nil); err != nil {",
		pkg: "./internal/vfs", run: "TestTheLastBytesOfADiskAreForRemovals",
	},
	{
		name: "inode-in-memory-not-seen", file: "internal/vfs/node.go",
		old: "if c := s.alike(ino); *c < math.MaxUint8 {",
		new: "if c := s.alike(ino); *c > 0 {",
		pkg: "./internal/vfs", run: "TestANodeIsFoundAsLongAsItIsInMemory",
	},
	{
		name: "byte-quota-skipped", file: "internal/vfs/share.go",
		old: "if grow > 0 && used+int64(grow) > quota {",
		new: "if false && grow > 0 && used+int64(grow) > quota {",
		pkg: "./internal/vfs", run: "TestFileSystemOverEveryCombinationOfStores/memory-memory/Quota",
	},
	{
		name: "inode-quota-skipped", file: "internal/vfs/share.go",
		old: "if used := s.usedInodes.Add(1); quota != 0 && used > quota {",
		new: "if used := s.usedInodes.Add(1); false && quota != 0 && used > quota {",
		pkg: "./internal/vfs", run: "TestFileSystemOverEveryCombinationOfStores/memory-memory/Quota",
	},
	{
		name: "constant-write-verifier", file: "internal/vfs/fs.go",
		old: "if _, err := rand.Read(fs.verifier[:]); err != nil {",
		new: "if _, err := rand.Read(nil); err != nil {",
		pkg: "./internal/vfs", run: "TestFileSystemOverEveryCombinationOfStores/pebble-filesystem/Durability/TheVerifierStaysWithinARunAndChangesWithIt",
	},
	{
		name: "remote-overwrite-forgotten", file: "internal/vfs/flush.go",
		old: "left := err == nil && leftOver(dirty, n.file)",
		new: "left := err == nil && !fs.remote && leftOver(dirty, n.file)",
		pkg: "./internal/vfs", run: "TestARemoteReplyCoversWhatIsWrittenOverItsBytes",
	},
	{
		name: "exclusive-create-forgets-verifier", file: "internal/vfs/create.go",
		old: "rec.Exclusive, rec.Verifier = true, verf",
		new: "rec.Exclusive = true",
		pkg: "./internal/vfs", run: "TestFileSystemOverEveryCombinationOfStores/memory-memory/Create",
	},
	{
		name: "handle-code-not-checked", file: "internal/vfs/handle.go",
		old: "if same != 1 {",
		new: "if same > 1 {",
		pkg: "./internal/vfs", run: "TestAHandleWithAFlippedBitIsRefused|TestAHandleOfAnotherKeyIsRefused",
	},
	{
		name: "stable-write-not-flushed", file: "internal/vfs/io.go",
		old: "if err == nil && how != Unstable {",
		new: "if false {",
		pkg: "./test/crash", run: "TestNoAcknowledgedByteIsLostInTenKillsUnderLoad", args: []string{"-kills", "2"},
	},
	{
		name: "commit-does-nothing", file: "internal/vfs/io.go",
		old: "if err := fs.flush(req.Context, n, false); err != nil {\n\t\treturn WCC{Valid",
		new: "if err := error(nil); err != nil {\n\t\treturn WCC{Valid",
		pkg: "./test/crash", run: "TestNoAcknowledgedByteIsLostInTenKillsUnderLoad", args: []string{"-kills", "2"},
	},
	{
		name: "names-before-metadata", file: "internal/vfs/fs.go",
		old: "if err := t.Wait(); err != nil {",
		new: "if err := error(nil); err != nil {",
		pkg: "./internal/vfs", run: "TestAReplyComesAfterItsSyncs",
	},
	{
		name: "fault-of-metadata-without-text", file: "internal/fsck/tree/check.go",
		old: "c.report(Fault{Kind: kind, Inode: ino, What: fmt.Sprintf(format, args...), fix: fix})",
		new: "_ = fmt.Sprintf(format, args...)\n\tc.report(Fault{Kind: kind, Inode: ino, fix: fix})",
		pkg: "./internal/crashtest", run: "FuzzDamagedMetadata",
	},
}
