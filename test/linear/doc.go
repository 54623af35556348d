// Package linear checks that concurrent clients see one order of things: every history of calls on a block of a file,
// or on the names of a directory, must be explained by some order of single steps that agrees with real time, also when
// the server is killed in between. It has tests only. The server is a real process, the clients are those of
// test/nfsclient, and the checker is porcupine.
//
// At a kill, a call without an answer may have happened or not; and what somebody saw of it may be gone, as long as it
// was not acknowledged: readers see bytes before they are synced, as POSIX and RFC 1813 have it. What was acknowledged
// must be there.
package linear
