// Package layout is what a filesystem keeps in the metadata store: keys and
// values of inodes, directory entries, shares and their usage. It knows no store
// and keeps no state, so that fsck reads by the same code as the server.
package layout
