// Package fsck checks a whole filesystem: the metadata by package tree, the
// index and the bytes by package segments. It exists to put what they find into
// one report that says what a user can do with: which paths lose bytes, how
// many faults of each kind there are, and what was repaired. It opens nothing
// and knows no server: both the command of a stopped one and the operation of a
// running one call it.
//
// It imports the contracts of meta and the packages printable, tree
// and segments.
//
//	report, err := fsck.Check(ctx, fsck.Options{Meta: store, Source: source}, emit)
package fsck
