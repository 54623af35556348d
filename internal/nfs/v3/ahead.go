package v3

import (
	"sync"

	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// Procedures (RFC 1813 section 3) that ask for the attributes of an inode or a name.
const (
	procGetattr = 1
	procLookup  = 3
	procAccess  = 4
)

// comings spares an allocation: what is passed through an interface escapes.
var comings = sync.Pool{New: func() any { return new([vfs.MaxComing]vfs.Coming) }}

// ahead tells the filesystem of calls that have arrived together. It checks
// nothing: it answers nothing either, each call is checked when it is served.
func (s *service) ahead(calls []sunrpc.Arrived) (useful bool) {
	coming := comings.Get().(*[vfs.MaxComing]vfs.Coming)
	defer comings.Put(coming)
	n := 0
	for i := range calls[:min(len(calls), len(coming))] {
		args := &calls[i].Args
		switch calls[i].Proc {
		case procGetattr, procAccess:
			coming[n] = vfs.Coming{Inode: vfs.PeekInode(args.Opaque(maxHandle))}
			n++
		case procLookup:
			coming[n] = vfs.Coming{Inode: vfs.PeekInode(args.Opaque(maxHandle)), Name: args.Opaque(vfs.MaxName)}
			n++
		}
	}
	return s.fs.Ahead(coming[:n])
}
