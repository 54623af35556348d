package sunrpc

import "time"

// Observer learns what the server does. It resolves each procedure once, when
// the server is made, so that recording a call needs no look-up.
type Observer interface {
	// Procedure returns the recorder of a procedure.
	Procedure(program string, version uint32, proc string) Recorder
	// Connections is told of each change of the number of connections.
	Connections(delta int)
	// Evicted is told of each connection that was closed for the sake of others.
	Evicted(why Eviction)
}

// Eviction is the bound for which a connection was closed.
type Eviction string

// Bounds for which connections are closed.
const (
	EvictedForBytes       Eviction = "bytes"
	EvictedForConnections Eviction = "connections"
)

// Recorder counts the calls of one procedure. Safe for concurrent use.
type Recorder interface {
	// Call is told of one served call: accept is the RPC's outcome, status
	// the program's (Version.StatusName names it), d the time from the call's
	// arrival to its reply's being ready, in and out the bytes of both.
	Call(accept AcceptStat, status uint32, d time.Duration, in, out int)
}

type noObserver struct{}

func (noObserver) Procedure(string, uint32, string) Recorder        { return noObserver{} }
func (noObserver) Connections(int)                                  {}
func (noObserver) Evicted(Eviction)                                 {}
func (noObserver) Call(AcceptStat, uint32, time.Duration, int, int) {}
