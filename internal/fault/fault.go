// Package fault describes what is wrong with a store, in terms that a user and an
// operator can act upon.
package fault

import (
	"context"
	"errors"
)

// Reasons, in the form of the reason of a Kubernetes condition.
const (
	Unreachable          = "Unreachable"          // no connection, or time-outs
	TLSFailed            = "TLSFailed"            // a certificate is not trusted, or the wrong one
	NotS3                = "NotS3"                // the endpoint answers something else
	BucketNotFound       = "BucketNotFound"       //
	AccessDenied         = "AccessDenied"         // credentials are right and not enough
	InvalidCredentials   = "InvalidCredentials"   // unknown, wrong or missing credentials
	WrongRegion          = "WrongRegion"          //
	ClockSkew            = "ClockSkew"            // our clock is too far from the store's
	Throttled            = "Throttled"            // asked to slow down, for long
	StoreFailing         = "StoreFailing"         // the store answers with its own errors
	NoConditionalWrites  = "NoConditionalWrites"  // If-None-Match is ignored: objects could be overwritten
	DatabaseNotFound     = "DatabaseNotFound"     //
	DatabaseReadOnly     = "DatabaseReadOnly"     // a standby, or set read-only
	DatabaseFull         = "DatabaseFull"         // its disk is full
	OwnedByAnother       = "OwnedByAnother"       // another server holds it
	DirectoryNotFound    = "DirectoryNotFound"    // a directory of this machine was moved, or is not mounted
	StoreEmpty           = "StoreEmpty"           // somebody emptied it, or it is another one
	NewerVersion         = "NewerVersion"         // written by a later version of this program
	InvalidConfiguration = "InvalidConfiguration" // a file that says how to connect cannot be used
)

// Error is a fault of a store.
type Error struct {
	// Store is "metadata", "content" or "cache", the section of config.yaml.
	Store string
	// Reason is one of the constants.
	Reason string
	// Message says what is wrong and what to do, naming the key of config.yaml:
	// one line, without credentials.
	Message string
	// Lasting says that waiting does not mend it: a start fails at once.
	Lasting bool
	// Err is the cause; may be nil.
	Err error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of returns the fault in an error, or nil.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Checker is implemented by stores that can be away, taken away, or hang, while
// the server goes on.
type Checker interface {
	// Check asks the store whether it can be used now: nil, or an *Error. It
	// costs one small request at most and is called every few seconds. An error
	// that is disk.Scarce and no *Error says nothing of the store.
	Check(ctx context.Context) error
}
