// Package mount3 is version 3 of the MOUNT protocol (RFC 1813 appendix I): it
// gives clients the file handle of a share, or of a directory below it. The
// handle is no permission: every NFS call is checked again.
//
// It imports sunrpc, xdr, export, printable and vfs.
package mount3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"strings"

	"github.com/dittofs/dittofs/internal/export"
	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// Program is the RPC program number of MOUNT.
const Program = 100005

// Limits of the protocol (RFC 1813 appendix I, section 5.1.1).
const maxPath = 1024 // MNTPATHLEN

// mountstat3 (RFC 1813 appendix I, section 5.1.5).
const (
	mnt3OK             = 0
	mnt3ErrPerm        = 1
	mnt3ErrNoEnt       = 2
	mnt3ErrIO          = 5
	mnt3ErrAcces       = 13
	mnt3ErrNotDir      = 20
	mnt3ErrInval       = 22
	mnt3ErrNameTooLong = 63
	mnt3ErrServerFault = 10006
)

// Config are the parts that the service is made of. All but Mounts are required.
type Config struct {
	FS      vfs.FileSystem
	Handles *vfs.Handles
	Exports *export.Table
	Logger  *slog.Logger
	Mounts  *Mounts // who mounted what is kept here; default: a list of its own
}

// flavors are the credentials that calls may bring. A client without a wish
// takes the first that it knows.
var flavors = [...]uint32{sunrpc.AuthSys, sunrpc.AuthNone}

type service struct{ Config }

// New returns MOUNT version 3 for the shares of the table.
func New(cfg Config) sunrpc.Version {
	s := &service{cfg}
	if s.Mounts == nil {
		s.Mounts = &Mounts{}
	}
	return sunrpc.Version{Number: 3, StatusName: StatusName, Procs: []sunrpc.Proc{
		{Name: "NULL", Handler: func(*sunrpc.Call) sunrpc.AcceptStat { return sunrpc.Success }},
		{Name: "MNT", Handler: s.mnt, Class: sunrpc.Blocking, Listing: true},
		{Name: "DUMP", Handler: s.dump, Class: sunrpc.Blocking, Listing: true, Weight: s.dumpWeight},
		{Name: "UMNT", Handler: s.umnt},
		{Name: "UMNTALL", Handler: s.umntall},
		{Name: "EXPORT", Handler: s.export, Class: sunrpc.Blocking, Listing: true, Weight: s.exportWeight},
	}}
}

// StatusName is a status of MNT as the RFC names it, without its prefix.
func StatusName(status uint32) string {
	switch status {
	case mnt3OK:
		return "OK"
	case mnt3ErrPerm:
		return "PERM"
	case mnt3ErrNoEnt:
		return "NOENT"
	case mnt3ErrIO:
		return "IO"
	case mnt3ErrAcces:
		return "ACCES"
	case mnt3ErrNotDir:
		return "NOTDIR"
	case mnt3ErrInval:
		return "INVAL"
	case mnt3ErrNameTooLong:
		return "NAMETOOLONG"
	}
	return "SERVERFAULT"
}

// mnt is MNT (RFC 1813 appendix I, section 5.2.1).
func (s *service) mnt(c *sunrpc.Call) sunrpc.AcceptStat {
	dir := c.Args.String(maxPath)
	if c.Args.Err() != nil {
		return sunrpc.GarbageArgs
	}
	id, err := s.resolve(c, dir)
	if c.Status = statusOf(err); c.Status != mnt3OK {
		s.Logger.Info("mount refused", "client", c.Remote.Addr(), "path", dir, "status", StatusName(c.Status), "error", err,
			"may_mount", usable{s, c.Remote.Addr()})
		c.Reply.Uint32(c.Status)
		return sunrpc.Success
	}
	s.Logger.Info("mounted", "client", c.Remote.Addr(), "path", dir)
	s.Mounts.add(c.Remote.Addr().String(), dir)
	c.Reply.Uint32(mnt3OK)
	c.Reply.Opaque(s.Handles.Append(nil, id))
	c.Reply.Uint32(uint32(len(flavors)))
	for _, flavor := range flavors {
		c.Reply.Uint32(flavor)
	}
	return sunrpc.Success
}

// shownShares is how many paths of shares the line about a refused mount has.
const shownShares = 16

// usable is the paths that a client may mount, which are looked up if the line is
// written: most of a flood of refusals are left out.
type usable struct {
	s    *service
	addr netip.Addr
}

// LogValue implements slog.LogValuer.
func (u usable) LogValue() slog.Value { return slog.StringValue(u.s.usable(u.addr)) }

// usable lists the paths that a client at addr may mount, for whoever looks for the
// reason of a refusal in the log.
func (s *service) usable(addr netip.Addr) string {
	var paths []string
	more := 0
	for _, share := range s.Exports.List() {
		switch {
		case !share.Allows(addr):
		case len(paths) == shownShares:
			more++
		default:
			paths = append(paths, printable.Word(printable.Text(share.Path)))
		}
	}
	switch {
	case len(paths) == 0:
		return "nothing: no share has this client's address in its clients"
	case more > 0:
		paths = append(paths, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(paths, " ")
}

// resolve finds the directory that a client wants to mount: a share's path, or
// one below it. The share's rules decide whether the client may; the way there
// is walked as the superuser, as mountd does it, because a client under root
// squash could not mount a user's private directory for that user. What it
// learns is whether there is a directory; the handle is no permission.
func (s *service) resolve(c *sunrpc.Call, dir string) (vfs.ID, error) {
	if !strings.HasPrefix(dir, "/") || strings.IndexByte(dir, 0) >= 0 {
		return vfs.ID{}, vfs.EINVAL
	}
	share, below := s.split(path.Clean(dir))
	if share == nil {
		return vfs.ID{}, vfs.ENOENT
	}
	cred := vfs.Cred{UID: c.Cred.UID, GID: c.Cred.GID, Groups: c.Cred.Groups()}
	if c.Cred.Flavor == sunrpc.AuthNone {
		cred = export.Anonymous
	}
	req, err := share.Authorize(c.Context, c.Remote, cred)
	if err == vfs.EPERM {
		err = fmt.Errorf("%w: shares[].clients[].secure wants a source port below 1024, not %d", vfs.EACCES, c.Remote.Port())
	}
	if err != nil {
		return vfs.ID{}, err
	}
	req.Cred = vfs.Cred{}
	id, err := s.FS.Root(share.ID)
	for name := range strings.SplitSeq(below, "/") {
		if err != nil || name == "" {
			break
		}
		id, err = s.step(&req, id, name)
	}
	return id, err
}

// step looks up one directory of a path. Symbolic links are not followed: where
// they lead is the client's business, and could be outside of the share.
func (s *service) step(req *vfs.Request, dir vfs.ID, name string) (vfs.ID, error) {
	child, _, err := s.FS.Lookup(req, dir, name)
	if err == nil && child.Type != vfs.TypeDirectory {
		err = vfs.ENOTDIR
	}
	return child.ID, err
}

// split finds the share with the longest path that dir is at or below, and
// the rest of dir.
func (s *service) split(dir string) (share *export.Share, below string) {
	for at := dir; ; at = path.Dir(at) {
		if sh, ok := s.Exports.ByPath(at); ok {
			return sh, strings.TrimPrefix(strings.TrimPrefix(dir, at), "/")
		}
		if at == "/" {
			return nil, ""
		}
	}
}

func statusOf(err error) uint32 {
	var e vfs.Errno
	switch {
	case err == nil:
		return mnt3OK
	case errors.Is(err, context.Canceled):
		return mnt3ErrServerFault
	case !errors.As(err, &e):
		return mnt3ErrIO
	}
	switch e {
	case vfs.EPERM:
		return mnt3ErrPerm
	case vfs.ENOENT, vfs.ESTALE:
		return mnt3ErrNoEnt
	case vfs.EACCES:
		return mnt3ErrAcces
	case vfs.ENOTDIR:
		return mnt3ErrNotDir
	case vfs.EINVAL:
		return mnt3ErrInval
	case vfs.ENAMETOOLONG:
		return mnt3ErrNameTooLong
	case vfs.EIO:
		return mnt3ErrIO
	}
	return mnt3ErrServerFault
}
