// Package sunrpc serves ONC RPC version 2 (RFC 5531) over TCP with record
// marking. It knows programs, versions and procedures, not what they do.
//
// One goroutine reads each connection. It serves all complete calls of its
// buffer, answers the cheap ones itself, and sends their replies in one
// write; calls that may wait (a disk, a sync, a lock) go to goroutines and are
// answered when they are done, in any order. When calls come one by one it
// serves those too. Measured on a server without a
// filesystem this is four to five times the rate of a goroutine and a write
// for each call.
//
// Everything that a client can make large is bounded: record size, fragments,
// calls in flight, connections, the bytes of what has arrived, of calls and of
// replies, and the time that an unfinished record or an unread reply may take.
// Package budget shares those bytes fairly among clients. Reaching a bound stops
// the reading of that connection (back-pressure). When others wait for what it
// holds, and its client does not go on, it is closed.
//
//	srv, err := sunrpc.NewServer(sunrpc.Options{Programs: programs, Logger: log})
//	go srv.Serve(listener)
//	...
//	srv.Shutdown(ctx)
//
// It imports packages xdr, netlimit and budget, and nothing else of this module.
package sunrpc
