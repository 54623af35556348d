package v3

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/dittofs/dittofs/internal/export"
	"github.com/dittofs/dittofs/internal/sunrpc"
	"github.com/dittofs/dittofs/internal/vfs"
)

// Program is the RPC program number of NFS.
const Program = 100003

// MaxIO is the most bytes that one READ or WRITE moves: rtmax and wtmax.
const MaxIO = 1 << 20

// maxHandle is NFS3_FHSIZE.
const maxHandle = 64

// Config are the parts that the service is made of. All are required.
type Config struct {
	FS      vfs.FileSystem
	Handles *vfs.Handles
	Exports *export.Table
	Logger  *slog.Logger
}

type service struct {
	fs      vfs.FileSystem
	handles *vfs.Handles
	exports *export.Table
	log     *slog.Logger
}

// New returns NFS version 3 over the filesystem.
func New(cfg Config) sunrpc.Version {
	s := &service{fs: cfg.FS, handles: cfg.Handles, exports: cfg.Exports, log: cfg.Logger}
	inline := func(name string, h handler) sunrpc.Proc {
		return sunrpc.Proc{Name: name, Handler: s.bind(h)}
	}
	blocking := func(name string, h handler) sunrpc.Proc {
		return sunrpc.Proc{Name: name, Handler: s.bind(h), Class: sunrpc.Blocking}
	}
	change := func(name string, h handler) sunrpc.Proc {
		return sunrpc.Proc{Name: name, Handler: s.bind(h), Class: sunrpc.Blocking, Cached: true}
	}
	read := inline("READ", (*service).read)
	read.Weight = readWeight
	readdir, readdirplus := blocking("READDIR", (*service).readdir), blocking("READDIRPLUS", (*service).readdirplus)
	readdir.Weight, readdirplus.Weight = readdirWeight, readdirplusWeight
	readdir.Listing, readdirplus.Listing = true, true
	return sunrpc.Version{Number: 3, StatusName: StatusName, Ahead: s.ahead, Procs: []sunrpc.Proc{
		{Name: "NULL", Handler: func(*sunrpc.Call) sunrpc.AcceptStat { return sunrpc.Success }},
		inline("GETATTR", (*service).getattr),
		change("SETATTR", (*service).setattr),
		inline("LOOKUP", (*service).lookup),
		inline("ACCESS", (*service).access),
		inline("READLINK", (*service).readlink),
		read,
		blocking("WRITE", (*service).write),
		change("CREATE", (*service).create),
		change("MKDIR", (*service).mkdir),
		change("SYMLINK", (*service).symlink),
		change("MKNOD", (*service).mknod),
		change("REMOVE", (*service).remove),
		change("RMDIR", (*service).rmdir),
		change("RENAME", (*service).rename),
		change("LINK", (*service).link),
		readdir,
		readdirplus,
		inline("FSSTAT", (*service).fsstat),
		inline("FSINFO", (*service).fsinfo),
		inline("PATHCONF", (*service).pathconf),
		blocking("COMMIT", (*service).commit),
	}}
}

// handler serves one procedure. It decodes all arguments before it does
// anything, and answers GarbageArgs if they cannot be decoded. req is for the
// filesystem: filled by enter.
type handler func(s *service, c *sunrpc.Call, req *vfs.Request) sunrpc.AcceptStat

var requests = sync.Pool{New: func() any { return new(vfs.Request) }}

func (s *service) bind(h handler) sunrpc.Handler {
	return func(c *sunrpc.Call) sunrpc.AcceptStat {
		req := requests.Get().(*vfs.Request)
		stat := h(s, c, req)
		*req = vfs.Request{}
		requests.Put(req)
		return stat
	}
}

// enter checks a handle, and that the caller may use its share, and fills req.
func (s *service) enter(c *sunrpc.Call, handle []byte, req *vfs.Request) (vfs.ID, error) {
	id, err := s.handles.Parse(handle)
	if err != nil {
		return id, err
	}
	cred := vfs.Cred{UID: c.Cred.UID, GID: c.Cred.GID, Groups: c.Cred.Groups()}
	if c.Cred.Flavor == sunrpc.AuthNone {
		cred = export.Anonymous
	}
	*req, err = s.exports.Authorize(c.Context, id.Share, c.Remote, cred)
	return id, err
}

// putStatus appends the status for err, and tells whether it is NFS3_OK.
func (s *service) putStatus(c *sunrpc.Call, err error) bool {
	if err == nil {
		c.Reply.Uint32(nfs3OK)
		return true
	}
	var e vfs.Errno
	if !errors.As(err, &e) {
		s.log.Error("filesystem failed without an errno", "client", c.Remote.Addr(), "error", err)
		e = vfs.EIO
	}
	c.Status = statusOf(e)
	c.Reply.Uint32(c.Status)
	return false
}
