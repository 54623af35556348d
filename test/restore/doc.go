// Package restore proves from outside that a server whose metadata volume and
// cache are lost is rebuilt from the content store alone: real processes, real
// commands, a real S3 server and database, and a client that keeps its file
// handles.
package restore
