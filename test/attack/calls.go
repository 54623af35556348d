package main

import (
	"bytes"
	"sync/atomic"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

// procedure is a call that an attacker makes.
type procedure struct {
	name, sends string
	small       bool // at small scale too
	// call appends one call.
	call func(f *files) []byte
}

// procedures are those whose reply can be larger than the call, or is not charged as it should be.
var procedures = []procedure{
	{"read", "READ of 1 MiB", true, func(f *files) []byte { return nfs(nfsclient.ProcRead, readArgs(f.big, 0, 1<<20)) }},
	{"read-tail", "READ of 4 GiB at the file's last 4 KiB", false, func(f *files) []byte {
		return nfs(nfsclient.ProcRead, readArgs(f.big, bigSize-4096, 1<<32-1))
	}},
	{"readdir", "READDIR of 256 KiB", false, func(f *files) []byte {
		return nfs(nfsclient.ProcReaddir, listArgs(f.many, 256<<10))
	}},
	{"readdirplus", "READDIRPLUS of 256 KiB", true, func(f *files) []byte {
		return nfs(nfsclient.ProcReaddirPlus, listArgs(f.many, 256<<10, 256<<10))
	}},
	{"readdirplus-huge", "READDIRPLUS of 4 GiB", false, func(f *files) []byte {
		return nfs(nfsclient.ProcReaddirPlus, listArgs(f.many, 1<<32-1, 1<<32-1))
	}},
	{"readlink", "READLINK of a target of 4000 bytes", false, func(f *files) []byte {
		return nfs(nfsclient.ProcReadlink, handleArgs(f.link))
	}},
	{"dump", "MOUNT's DUMP of 1024 long paths", true, func(*files) []byte { return mount(nfsclient.ProcDump, nil) }},
	{"export", "MOUNT's EXPORT of 60 shares", false, func(*files) []byte { return mount(nfsclient.ProcExport, nil) }},
	{"mnt", "MOUNT's MNT", false, func(*files) []byte { return mount(nfsclient.ProcMnt, stringArgs("/export")) }},
	{"getattr", "GETATTR", false, func(f *files) []byte { return nfs(nfsclient.ProcGetAttr, handleArgs(f.big)) }},
	{"lookup", "LOOKUP", false, func(f *files) []byte { return nfs(nfsclient.ProcLookup, entryArgs(f.root, "big")) }},
	{"fsinfo", "FSINFO", false, func(f *files) []byte { return nfs(nfsclient.ProcFSInfo, handleArgs(f.root)) }},
	{"commit", "COMMIT", false, func(f *files) []byte { return nfs(nfsclient.ProcCommit, readArgs(f.big, 0, 0)) }},
	{"null", "NULL", false, func(*files) []byte { return nfs(nfsclient.ProcNull, nil) }},
	{"errors", "calls that are answered with an error of RPC", false, func(*files) []byte { return mistakes() }},
	{"stale", "GETATTR of a handle that is none", false, func(*files) []byte {
		return nfs(nfsclient.ProcGetAttr, handleArgs(make([]byte, 32)))
	}},
	{"duplicates", "one REMOVE again and again, answered from the duplicate-request cache", false, func(f *files) []byte {
		return nfs(nfsclient.ProcRemove, entryArgs(f.own, "none"))
	}},
	{"removes", "REMOVE of no file, each with another xid", false, removes},
}

const xid = 0x61747461 // of calls of which it does not matter

func nfs(proc uint32, args []byte) []byte {
	return nfsclient.Record(xid, nfsclient.ProgramNFS, 3, proc, nfsclient.Options{}, args)
}

func mount(proc uint32, args []byte) []byte {
	return nfsclient.Record(xid, nfsclient.ProgramMount, 3, proc, nfsclient.Options{}, args)
}

func handleArgs(h nfsclient.Handle) []byte {
	var e xdr.Encoder
	e.Opaque(h)
	return e.Bytes()
}

func stringArgs(s string) []byte {
	var e xdr.Encoder
	e.String(s)
	return e.Bytes()
}

func entryArgs(dir nfsclient.Handle, name string) []byte {
	var e xdr.Encoder
	e.Opaque(dir)
	e.String(name)
	return e.Bytes()
}

func readArgs(h nfsclient.Handle, off uint64, count uint32) []byte {
	var e xdr.Encoder
	e.Opaque(h)
	e.Uint64(off)
	e.Uint32(count)
	return e.Bytes()
}

func listArgs(dir nfsclient.Handle, counts ...uint32) []byte {
	var e xdr.Encoder
	e.Opaque(dir)
	e.Uint64(0) // cookie
	e.Uint64(0) // verifier
	for _, n := range counts {
		e.Uint32(n)
	}
	return e.Bytes()
}

// mistakes are a call of each kind that RPC refuses (RFC 5531 section 9).
func mistakes() []byte {
	rpcVersion := nfs(nfsclient.ProcNull, nil)
	rpcVersion[15] = 3
	flavor := nfsclient.Record(xid, nfsclient.ProgramNFS, 3, nfsclient.ProcNull, nfsclient.Options{AuthNone: true}, nil)
	flavor[31] = 99
	return bytes.Join([][]byte{
		nfsclient.Record(xid, 99, 3, 0, nfsclient.Options{}, nil),                    // PROG_UNAVAIL
		nfsclient.Record(xid, nfsclient.ProgramNFS, 9, 0, nfsclient.Options{}, nil),  // PROG_MISMATCH
		nfsclient.Record(xid, nfsclient.ProgramNFS, 3, 99, nfsclient.Options{}, nil), // PROC_UNAVAIL
		nfs(nfsclient.ProcRead, nil),                                                 // GARBAGE_ARGS
		rpcVersion,
		flavor,
	}, nil)
}

var lastXID atomic.Uint32

// removes are 100 calls that the duplicate-request cache has to remember one by one.
func removes(f *files) (b []byte) {
	args := entryArgs(f.own, "none")
	for range 100 {
		b = append(b, nfsclient.Record(lastXID.Add(1), nfsclient.ProgramNFS, 3, nfsclient.ProcRemove,
			nfsclient.Options{}, args)...)
	}
	return b
}
