// Package evidence shows from outside what the server promises about its system calls and its start. It has tests only:
// the server is a real process, under strace where its system calls are looked at.
package evidence
