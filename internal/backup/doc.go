// Package backup copies the metadata to the content store and brings it back,
// so that a server whose metadata volume is lost is rebuilt from the bucket
// alone.
//
// A backup is a manifest that names chunks of sorted pairs and the segments
// that they refer to. Chunks are cut where the keys say so and named by their
// content, so that a backup writes only those that changed since the last one:
//
//	backups/manifests/00000042-20261124t190000z
//	backups/chunks/5f36b2ea290645ee34d943220a14b54ee5ea5be5cf7e1b3b6a4e3e1b8bb1c2d4
//
// The manifest is written last and goes first: a backup that can be seen is
// whole. docs/decisions/0023 says why it is made this way.
//
//	maker := backup.New(backup.Options{Log: log, Data: store, Content: objects, Instance: name, Keep: 24})
//	manifest, err := maker.Run(ctx, nil)
//
// The package imports meta, data and content, and nothing of the filesystem.
package backup
