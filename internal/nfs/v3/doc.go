// Package v3 is NFS version 3 (RFC 1813): it translates the protocol's 22
// procedures to the filesystem's operations. It holds no state of its own and
// sees no storage. Every call is checked against the share table with the
// client's address and credential, whatever MOUNT said before.
//
//	version := v3.New(v3.Config{FS: fs, Handles: fs.Handles(), Exports: table, Logger: log})
//	program := sunrpc.Program{Number: v3.Program, Name: "nfs", Versions: []sunrpc.Version{version}}
//
// It imports sunrpc, xdr, export and vfs.
package v3
