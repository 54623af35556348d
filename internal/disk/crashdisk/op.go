package crashdisk

import "fmt"

// Kind says what an operation does.
type Kind uint8

// Operations that change a disk, or what of it is durable.
const (
	Write Kind = iota + 1
	Truncate
	Allocate
	PunchHole
	Sync
	SyncFailed
	Create
	Mkdir
	Link
	Rename
	Remove
	SyncDir
)

var kindNames = [...]string{
	Write: "write", Truncate: "truncate", Allocate: "allocate", PunchHole: "punch hole", Sync: "sync",
	SyncFailed: "failed sync",
	Create:     "create", Mkdir: "mkdir", Link: "link", Rename: "rename", Remove: "remove", SyncDir: "sync of directory",
}

func (k Kind) String() string { return kindNames[k] }

// Op is an operation as tests see it. Those of a disk count from 0, also those
// that are made to fail.
type Op struct {
	Number   int
	Kind     Kind
	Path     string
	Off, Len int64 // of a write or an allocation; Off is the new size of a truncation
}

func (o Op) String() string {
	if o.Kind < Sync {
		return fmt.Sprintf("%v of %s at %d, %d bytes", o.Kind, o.Path, o.Off, o.Len)
	}
	return fmt.Sprintf("%v of %s", o.Kind, o.Path)
}

// op is an entry of the log. It does not change once it is there.
type op struct {
	Op
	seq  int64 // grows along the log, also over a Kill
	node int   // of the file, or the inode that a name leads to
	dir  int   // that has the name
	name string
	// Of a rename: where to.
	dir2  int
	name2 string

	data  []byte // of a write
	begin int64  // of a sync: it covers what came before
}

// named says whether the operation is one of names, which SyncDir makes
// durable.
func (o *op) named() bool { return o.Kind >= Create && o.Kind <= Remove }

// key is a name in a directory.
type key struct {
	dir  int
	name string
}

func (o *op) keys() []key {
	if o.Kind == Rename {
		return []key{{o.dir, o.name}, {o.dir2, o.name2}}
	}
	return []key{{o.dir, o.name}}
}

// touches says whether a sync of the directory makes the operation durable.
func (o *op) touches(dir int) bool { return o.dir == dir || o.Kind == Rename && o.dir2 == dir }
