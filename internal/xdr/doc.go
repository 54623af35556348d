// Package xdr reads and writes External Data Representation (RFC 4506), the
// encoding below ONC RPC and NFS. The Decoder works on one whole message
// without copying it, and every length that it reads is checked against a
// bound of the caller's and against what has really arrived, before anything
// is allocated. The Encoder appends to a buffer of the caller's.
//
// Errors are sticky: a handler decodes all its arguments and asks once.
//
//	d := xdr.NewDecoder(args)
//	handle := d.Opaque(64)
//	offset := d.Uint64()
//	if d.Err() != nil {
//		return garbage
//	}
//
// It imports nothing of this module.
package xdr
