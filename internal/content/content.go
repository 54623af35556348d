// Package content is the contract of the content store: immutable objects
// (sealed segments) by name. Backends only move bytes; checksums are made and
// verified above them, in package data.
package content

import (
	"context"
	"errors"
	"io"
)

// Errors of a Store, matched with errors.Is.
var (
	// ErrNotFound: there is no object of that name.
	ErrNotFound = errors.New("object not found")
	// ErrExists: there is already an object of that name with another
	// content. Objects are never overwritten.
	ErrExists = errors.New("object exists with another content")
	// ErrForeign: the store belongs to another instance.
	ErrForeign = errors.New("content store belongs to another instance")
)

// MaxID is the longest object name in bytes. Names consist of the characters
// [a-z0-9-./], do not begin or end with "/" and have no empty, "." or ".."
// component.
const MaxID = 128

// Store holds immutable objects. Safe for concurrent use.
type Store interface {
	// Put stores size bytes of r as id, durable on return, never partly
	// visible. Putting the same bytes again succeeds (idempotent); an id with
	// other bytes gives ErrExists and changes nothing.
	Put(ctx context.Context, id string, r io.ReaderAt, size int64) error
	// ReadAt reads len(p) bytes of id at off: n == len(p) or an error.
	// Reading past the end gives io.ErrUnexpectedEOF.
	ReadAt(ctx context.Context, id string, p []byte, off int64) (int, error)
	// Size is the object's length in bytes.
	Size(ctx context.Context, id string) (int64, error)
	// Delete removes id; an absent one is no error.
	Delete(ctx context.Context, id string) error
	// List calls f for each object whose name begins with prefix, in
	// lexical order, until f returns an error, which it returns.
	List(ctx context.Context, prefix string, f func(id string, size int64) error) error
	// Claim binds the store to the instance (16 bytes, hex): the first caller
	// takes it, another instance gets ErrForeign.
	Claim(ctx context.Context, instance string) error
	// Owner is the instance that the store is bound to, "" if there is none.
	Owner(ctx context.Context) (instance string, err error)
	// Close releases resources.
	Close() error
}

// Adopter is implemented by stores that can take over a local file by rename,
// without a copy.
type Adopter interface {
	// Adopt moves the file at path, which is complete and synced, into the
	// store as id, durable on return. moved is false (and nothing changed) if
	// the file is on another filesystem.
	Adopt(ctx context.Context, id, path string) (moved bool, err error)
}

// Local is implemented by stores whose objects are files of this machine.
type Local interface {
	// LocalPath is the path of the object's file, whether it exists or not.
	LocalPath(id string) string
}
