package main

// crashSearch cuts the power at many operations of a simulated disk. It is given a short workload, in which both of its mutants
// lose something with every seed that was tried.
const crashSearch = "TestNothingAcknowledgedIsLostAtAnyWriteOrSync"

var crashArgs = []string{"-crash.seed", "1", "-crash.steps", "100", "-crash.points", "100"}

// cacheArgs are for faults that the workload itself runs into, without any crash.
var cacheArgs = []string{"-crash.points", "2"}

// mutants is the list. Each is a fault that others have shipped, or that would make an acknowledgement a lie.
var mutants = []mutant{
	{
		name: "data-sync-dropped", file: "internal/data/journal.go",
		old: "if err := s.syncSegment(t); err != nil {",
		new: "if err := error(nil); err != nil {\n\t\t\t_ = t",
		pkg: "./internal/vfs", run: "TestAReplyComesAfterItsSyncs",
	},
	{
		name: "fdatasync-skipped", file: "internal/data/journal.go",
		old: "if err := f.Datasync(); err != nil {\n\t\treturn err\n\t}\n\tif writing == 0 {",
		new: "if writing == 0 {",
		pkg: "./internal/data", run: "TestCommittedDataSurvivesAPowerCutAtEveryKindOfMoment|TestAFailedSyncStopsTheStoreForGood",
	},
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
		name: "pebble-without-sync", file: "internal/meta/pebble/pebble.go",
		old: "return s.db.ApplyNoSyncWait(pb, pebble.Sync)",
		new: "return s.db.Apply(pb, pebble.NoSync)",
		pkg: "./internal/meta/pebble", run: "TestADiskThatFailsAtAnyWriteIsAnErrorAndLosesNothing",
	},
	{
		name: "no-reserve-for-removals", file: "internal/server/space.go",
		old: "if cfg.Metadata.Type != config.MetadataPebble {",
		new: "if cfg.Metadata.Type != \"\" {",
		pkg: "./test/fulldisk", run: "TestAFullDiskEndsNothingAndRemovalsBringSpaceBack",
	},
	{
		name: "group-commit-before-apply", file: "internal/meta/commit/commit.go",
		old: "err := l.store.Apply(l.ctx, g.batch())\n\t\tl.finish(g, err)",
		new: "b := g.batch()\n\t\tl.finish(g, nil)\n\t\t_ = l.store.Apply(l.ctx, b)",
		pkg: "./internal/meta/commit", run: "TestSubmittedChangesAreReadableBeforeTheyAreDurable|TestAFailedCommitFailsTheLogForGood",
	},
	{
		name: "group-commit-forgets-failure", file: "internal/meta/commit/commit.go",
		old: "\tl.err = err\n\tclose(l.failed)",
		new: "\tclose(l.failed)",
		pkg: "./internal/meta/commit", run: "TestAFailedCommitFailsTheLogForGood",
	},
	{
		name: "cache-filled-after-a-change", file: "internal/meta/paircache/paircache.go",
		old: "if s.version == miss.version {",
		new: "if true {",
		pkg: "./internal/meta/commit", run: "TestACachedValueIsNeverOlderThanWhatWasSubmitted|TestAReadThatOverlapsAChangeLeavesNothingOldInTheCache",
	},
	{
		name: "cache-not-told-of-removals", file: "internal/meta/commit/commit.go",
		old: "\t\tl.cache.Delete(op.Key)",
		new: "\t\t_ = l.cache",
		pkg: "./internal/meta/commit", run: "TestRandomHistoriesReadLikeOneMapWhateverIsDurable|TestAReadThatOverlapsAChangeLeavesNothingOldInTheCache",
	},
	{
		name: "cache-filled-after-a-change-on-the-crash-disk", file: "internal/meta/paircache/paircache.go",
		old: "if s.version == miss.version {",
		new: "if true {",
		pkg: "./internal/crashtest", run: crashSearch, args: cacheArgs,
	},
	{
		name: "cache-not-told-of-removals-on-the-crash-disk", file: "internal/meta/commit/commit.go",
		old: "\t\tl.cache.Delete(op.Key)",
		new: "\t\t_ = l.cache",
		pkg: "./internal/crashtest", run: crashSearch, args: cacheArgs,
	},
	{
		name: "checksum-not-verified", file: "internal/data/footer.go",
		old: "if crc32.Checksum(p[:n], castagnoli) != t.pages[i] {",
		new: "if false && crc32.Checksum(p[:n], castagnoli) != t.pages[i] {",
		pkg: "./internal/data", run: "TestEveryFlippedByteOfAStoredSegmentIsCorruptionOrHarmless",
	},
	{
		name: "control-token-not-compared", file: "internal/control/token.go",
		old: "if subtle.ConstantTimeCompare(",
		new: "if false && subtle.ConstantTimeCompare(",
		pkg: "./internal/control", run: "TestOverTCPOnlyTheTokenOpensTheDoor",
	},
	{
		name: "control-socket-for-all", file: "internal/control/listen.go",
		old: "os.Chmod(path, 0o600)",
		new: "os.Chmod(path, 0o666)",
		pkg: "./internal/control", run: "TestTheSocketIsForItsOwnerAlone",
	},
	{
		name: "control-cut-answer-is-complete", file: "internal/control/client.go",
		old: "\t\treturn err\n\t}\n\treturn ErrCut\n}",
		new: "\t\treturn err\n\t}\n\treturn nil\n}",
		pkg: "./internal/control", run: "TestAnAnswerThatIsCutOffIsAnError",
	},
	{
		name: "control-operation-ends-with-the-write-timeout", file: "internal/control/server.go",
		old: "_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))",
		new: "_ = time.Now()",
		pkg: "./internal/control", run: "TestTheTimeoutOfARequestDoesNotEndALongOperation",
	},
	{
		name: "recovery-accepts-torn-records", file: "internal/data/scan.go",
		old: "return crc == rec.crc, nil",
		new: "return true, nil",
		pkg: "./internal/data", run: "TestATornTailIsCutOffAndTheRestIsKept|TestAReferenceBeyondTheTornTailIsCorruption|TestAFlippedByteInTheJournalIsCorruptionAfterTheNextStart",
	},
	{
		name: "missing-segment-is-a-hole", file: "internal/data/read.go",
		old: "return nil, missing(err, t.id)\n\t}\n\tif err := t.verify",
		new: "clear(p)\n\t\treturn p[start-lo:][:e.Len], nil\n\t}\n\tif err := t.verify",
		pkg: "./internal/data", run: "TestAMissingOrShortObjectIsCorruption|TestEveryFlippedByteOfAStoredSegmentIsCorruptionOrHarmless|TestDamageOfOnePageLeavesTheOthersReadable",
	},
	{
		name: "unknown-segment-is-a-hole", file: "internal/data/read.go",
		old: "return nil, fmt.Errorf(\"segment %v does not exist: %w\", e.Seg, ErrCorrupt)",
		new: "clear(mem[:e.Len])\n\t\treturn mem[:e.Len], nil",
		pkg: "./internal/data", run: "TestASegmentThatNobodyKnowsIsCorruption",
	},
	{
		name: "gap-is-a-hole", file: "internal/data/file.go",
		old: "if last, ok := f.dirty.last(); lo >= f.end && ok && hi <= last.End() {",
		new: "if last, ok := f.dirty.last(); true || ok && hi <= last.End() {",
		pkg: "./internal/data", run: "TestAGapInTheIndexIsCorruptionAndNotAHole",
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
		name: "remote-does-not-wait", file: "internal/data/remote.go",
		old: "if err := s.failure(); err != nil || freed == nil {",
		new: "if err := s.failure(); true || freed == nil {",
		pkg: "./internal/data", run: "TestSyncWithRemoteReturnsWhenTheContentStoreHasTheData|TestSyncWithRemoteFailsWhileTheContentStoreIsOut",
	},
	{
		name: "remote-index-before-bytes", file: "internal/data/file.go",
		old: "last.getState() == stateStored && ",
		new: "",
		pkg: "./internal/data", run: "TestWhatWasAcknowledgedOutlivesTheJournalWhileItIsOverwritten",
	},
	{
		name: "remote-index-before-bytes-on-the-crash-disk", file: "internal/data/file.go",
		old: "last.getState() == stateStored && ",
		new: "",
		pkg: "./internal/crashtest", run: "TestDataThatMustBeElsewhereSurvivesTheLossOfTheCache",
	},
	{
		name: "compaction-moves-what-has-changed", file: "internal/data/move.go",
		old: "o.sameBytes(part) {",
		new: "part.Len > 0 {",
		pkg: "./internal/data", run: "TestCompactionMovesOnlyWhatIsStillCurrent",
	},
	{
		name: "compaction-moves-before-it-is-stored", file: "internal/data/rewrite.go",
		old: "waiting := slices.ContainsFunc(w.outputs, (*segment).unsent)",
		new: "waiting := false",
		pkg: "./internal/crashtest", run: "TestNothingAcknowledgedIsLostAtAnyWriteOrSync",
	},
	{
		name: "compaction-drops-its-copy", file: "internal/data/rewrite.go",
		old: "	g.pending.Add(1)\n	return g, nil",
		new: "	return g, nil",
		pkg: "./internal/data", run: "TestCompactionGivesTheSpaceOfOverwrittenBytesBack",
	},
	{
		name: "layout-moves-before-it-is-stored", file: "internal/data/layout.go",
		old: "if err := w.finish(); err != nil {",
		new: "if err := w.write(); err != nil {",
		pkg: "./internal/crashtest", run: "TestNothingAcknowledgedIsLostAtAnyWriteOrSync",
	},
	{
		name: "layout-of-what-is-written", file: "internal/data/file.go",
		old: "	f.s.wishes.written(f.ino)\n",
		new: "",
		pkg: "./internal/data", run: "TestWhatIsNotScatteredIsNotLaidOut",
	},
	{
		name: "layout-moves-what-has-changed", file: "internal/data/move.go",
		old: "o.sameBytes(part) {",
		new: "part.Len > 0 {",
		pkg: "./internal/data", run: "TestALayoutMovesOnlyWhatIsStillCurrent",
	},
	{
		name: "remote-overwrite-forgotten", file: "internal/vfs/flush.go",
		old: "left := err == nil && leftOver(dirty, n.file)",
		new: "left := err == nil && !fs.remote && leftOver(dirty, n.file)",
		pkg: "./internal/vfs", run: "TestARemoteReplyCoversWhatIsWrittenOverItsBytes",
	},
	{
		name: "remote-segment-dropped-before-its-commit", file: "internal/data/segment.go",
		old: "return g.quiet() && g.live.Load() <= 0",
		new: "return g.live.Load() <= 0",
		pkg: "./internal/data", run: "TestASegmentGoesWhenNothingOfItWillBeCommitted|TestUnstableDataIsCommittedOnceItsSegmentIsStored",
	},
	{
		name: "cache-without-limit", file: "internal/data/room.go",
		old: "return r.journal+r.pages+n <= r.limit",
		new: "return true",
		pkg: "./internal/data", run: "TestTheCacheNeverExceedsItsSize",
	},
	{
		name: "exclusive-create-forgets-verifier", file: "internal/vfs/create.go",
		old: "rec.exclusive, rec.verf = true, verf",
		new: "rec.exclusive = true",
		pkg: "./internal/vfs", run: "TestFileSystemOverEveryCombinationOfStores/memory-memory/Create",
	},
	{
		name: "handle-code-not-checked", file: "internal/vfs/handle.go",
		old: "if same != 1 {",
		new: "if same > 1 {",
		pkg: "./internal/vfs", run: "TestAHandleWithAFlippedBitIsRefused|TestAHandleOfAnotherKeyIsRefused",
	},
	{
		name: "segment-deleted-too-early", file: "internal/data/maintain.go",
		old: "if n, err := s.log.Counter(s.ctx, live); err != nil || n != 0 {",
		new: "if n, err := s.log.Counter(s.ctx, live); err != nil {",
		pkg: "./internal/data", run: "TestASegmentIsKeptUntilTheBatchThatFreesItIsSubmitted",
	},
	{
		name: "journal-segment-dropped-too-early", file: "internal/data/seal.go",
		old: "if err != nil || n != 0 {\n\t\treturn false, err\n\t}\n\tdeleted, ok",
		new: "if _ = n; err != nil {\n\t\treturn false, err\n\t}\n\tdeleted, ok",
		pkg: "./internal/data", run: "TestAJournalSegmentIsKeptUntilTheBatchThatFreesItIsSubmitted",
	},
	{
		name: "object-of-another-overwritten", file: "internal/content/filesystem/write.go",
		old: "s.disk.RenameNoReplace(temp, path)",
		new: "s.disk.Rename(temp, path)",
		pkg: "./internal/content/filesystem", run: "TestKeepsTheContractOfContentStores",
	},
	{
		name: "failed-sync-forgiven", file: "internal/data/journal.go",
		old: "if err := g.sync.wait(func() error { return s.datasync(g, f) }); err != nil {\n\t\ts.fail(err)",
		new: "if err := g.sync.wait(func() error { return s.datasync(g, f) }); err != nil {",
		pkg: "./internal/data", run: "TestAFailedSyncStopsTheStoreForGood",
	},
	{
		name: "client-address-not-checked", file: "internal/export/export.go",
		old: "if s.clients[i].prefix.Contains(addr) {",
		new: "if s.clients[i].prefix.Contains(addr) || true {",
		pkg: "./internal/nfs/v3", run: "TestHandleIsNoPermission",
	},
	{
		name: "postgres-epoch-not-checked", file: "internal/meta/postgres/apply.go",
		old: "WHERE epoch = $1 AND attempt = $2 FOR SHARE",
		new: "WHERE $1::bigint IS NOT NULL AND $2::bigint IS NOT NULL FOR SHARE",
		pkg: "./internal/meta/postgres", run: "TestAFencedStoreCommitsNothingAndSaysWhoOwnsItsDatabase|TestNothingChangesAfterATakeover",
	},
	{
		name: "postgres-late-batch-applied", file: "internal/meta/postgres/apply.go",
		old: "WHERE epoch = $1 AND attempt = $2 FOR SHARE",
		new: "WHERE epoch = $1 AND $2::bigint IS NOT NULL FOR SHARE",
		pkg: "./internal/meta/postgres", run: "TestABatchThatArrivesLateCannotUndoALaterOne",
	},
	{
		name: "postgres-commit-not-durable", file: "internal/meta/postgres/apply.go",
		old: "set_config('synchronous_commit', 'on', true)",
		new: "set_config('synchronous_commit', 'off', true)",
		pkg: "./internal/meta/postgres", run: "TestCommitsAreDurableWhateverTheDatabaseIsSetTo",
	},
	{
		name: "s3-object-overwritten", file: "internal/content/s3/put.go",
		old: "IfNoneMatch: aws.String(\"*\"), ChecksumCRC32C",
		new: "ChecksumCRC32C",
		pkg: "./internal/content/s3", run: "TestStoreKeepsTheContract|TestALostAnswerDoesNotHideThatAnotherWroteFirst",
	},
	{
		name: "s3-parts-overwrite", file: "internal/content/s3/multipart.go",
		old: "IfNoneMatch: aws.String(\"*\"),",
		new: "",
		pkg: "./internal/content/s3", run: "TestOfConcurrentUploadsInPartsOneWins|TestStoreKeepsTheContract",
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
		name: "remote-forgotten", file: "internal/data/journal.go",
		old: "if s.opts.Remote {\n\t\treturn s.awaitStored(ctx, targets, brief)",
		new: "if false {\n\t\treturn s.awaitStored(ctx, targets, brief)",
		pkg: "./internal/vfs", run: "TestARemoteReplyComesWhenTheContentStoreHasTheData",
	},
	{
		name: "pebble-damage-is-the-end", file: "internal/meta/pebble/pebble.go",
		old: "err = checkLogs(fs, path)",
		new: "err = nil",
		pkg: "./internal/meta/pebble", run: "TestADamagedLogIsRefusedAndATornOneIsNot",
	},
	{
		name: "pebble-marker-not-synced", file: "internal/meta/pebble/guard.go",
		old: "err = fs.w.check(\"sync\", name, syncDir(fs.FS, fs.PathDir(name)))",
		new: "err = nil",
		pkg: "./internal/meta/pebble", run: "TestEveryPowerCutLeavesAStore",
	},
	{
		name: "recovery-trusts-what-it-reads", file: "internal/data/recover.go",
		old: "if err := rewrite(f, size); err != nil {",
		new: "if err := error(nil); err != nil {",
		pkg: "./internal/crashtest", run: "TestASegmentIsWrittenAgainAfterAFailedSync",
	},
	{
		name: "journal-directory-not-synced", file: "internal/data/journal.go",
		old: "return s.syncDir()\n}",
		new: "return nil\n}",
		pkg: "./internal/crashtest", run: crashSearch, args: crashArgs,
	},
	{
		name: "sealed-without-sync", file: "internal/data/seal.go",
		old: "if err := f.Datasync(); err != nil {",
		new: "if err := error(nil); err != nil {",
		pkg: "./internal/crashtest", run: crashSearch, args: crashArgs,
	},
}
