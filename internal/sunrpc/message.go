package sunrpc

import (
	"errors"

	"github.com/dittofs/dittofs/internal/xdr"
)

// Constants of RFC 5531 section 9.
const (
	rpcVersion = 2

	msgCall  = 0
	msgReply = 1

	msgAccepted = 0
	msgDenied   = 1

	rejectRPCMismatch = 0
	rejectAuthError   = 1

	authBadCred      = 1
	authRejectedCred = 2

	maxAuthBody    = 400
	maxMachineName = 255
)

var errNotACall = errors.New("not an RPC call")

// header is the part of a call before its arguments.
type header struct {
	xid, rpcvers, program, version, proc uint32
	flavor                               uint32
	cred                                 []byte
}

// parseHeader reads a call's header and leaves d at the arguments. A call of
// another RPC version is parsed no further than its version.
func parseHeader(d *xdr.Decoder) (header, error) {
	var h header
	h.xid = d.Uint32()
	if d.Uint32() != msgCall {
		d.Fail(errNotACall)
	}
	h.rpcvers = d.Uint32()
	if d.Err() != nil || h.rpcvers != rpcVersion {
		return h, d.Err()
	}
	h.program, h.version, h.proc = d.Uint32(), d.Uint32(), d.Uint32()
	h.flavor, h.cred = d.Uint32(), d.Opaque(maxAuthBody)
	d.Uint32() // verifier: AUTH_NONE and AUTH_SYS have nothing to verify
	d.Opaque(maxAuthBody)
	return h, d.Err()
}

// parseCred fills cred from a call's header. It returns the auth_stat with
// which to refuse the call, 0 for none.
func parseCred(cred *Cred, flavor uint32, body []byte) uint32 {
	cred.Flavor, cred.UID, cred.GID, cred.ngroups = flavor, 0, 0, 0
	switch flavor {
	case AuthNone:
		return 0
	case AuthSys:
		return parseAuthSys(cred, body)
	default:
		return authRejectedCred
	}
}

// parseAuthSys reads authsys_parms (RFC 5531 appendix A).
func parseAuthSys(cred *Cred, body []byte) uint32 {
	d := xdr.NewDecoder(body)
	d.Uint32() // stamp
	d.Opaque(maxMachineName)
	cred.UID, cred.GID = d.Uint32(), d.Uint32()
	n := d.Count(MaxGroups, 4)
	for i := range n {
		cred.groups[i] = d.Uint32()
	}
	cred.ngroups = n
	if d.Err() != nil {
		return authBadCred
	}
	return 0
}

// A reply begins with the record mark, then xid, REPLY, MSG_ACCEPTED, an empty
// verifier, and accept_stat.
const (
	markSize     = 4
	acceptOffset = markSize + 5*4
	replyHeader  = acceptOffset + 4
	xidEnd       = markSize + 4
)

func putAcceptedHeader(e *xdr.Encoder, xid uint32, stat AcceptStat) {
	e.Uint32(0) // record mark, known later
	e.Uint32(xid)
	e.Uint32(msgReply)
	e.Uint32(msgAccepted)
	e.Uint32(AuthNone)
	e.Uint32(0)
	e.Uint32(uint32(stat))
}

func putRPCMismatch(e *xdr.Encoder, xid uint32) {
	e.Uint32(0)
	e.Uint32(xid)
	e.Uint32(msgReply)
	e.Uint32(msgDenied)
	e.Uint32(rejectRPCMismatch)
	e.Uint32(rpcVersion)
	e.Uint32(rpcVersion)
}

func putAuthError(e *xdr.Encoder, xid, stat uint32) {
	e.Uint32(0)
	e.Uint32(xid)
	e.Uint32(msgReply)
	e.Uint32(msgDenied)
	e.Uint32(rejectAuthError)
	e.Uint32(stat)
}
