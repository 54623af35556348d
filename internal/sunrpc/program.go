package sunrpc

import (
	"context"
	"net/netip"

	"github.com/dittofs/dittofs/internal/xdr"
)

// Program is one RPC program with the versions that are served.
type Program struct {
	Number   uint32
	Name     string // for logs and metrics: "nfs", "mount"
	Versions []Version
}

// Version is one version of a program.
type Version struct {
	Number uint32
	// Procs is indexed by procedure number; an entry without a handler is
	// PROC_UNAVAIL.
	Procs []Proc
	// StatusName names a Call.Status for metrics. Nil if there are none.
	StatusName func(status uint32) string
	// Ahead is told of calls that have arrived together, before the first of
	// them is served, in this order, so that what they need can be fetched for
	// all at once. It must not wait, and may keep nothing. If it returns false,
	// it is spared those of a while. Nil if it is of no use.
	Ahead func(calls []Arrived) bool
}

// Arrived is a call that has arrived and is not served yet. Nothing of it has
// been checked.
type Arrived struct {
	Proc uint32
	Args xdr.Decoder
}

// Class says where a procedure's handler may run.
type Class uint8

const (
	// Inline handlers run on the connection's reading goroutine: nothing else
	// of the connection goes on meanwhile, so they must not wait long. One
	// that finds it would have to returns WouldBlock and is called again, with
	// Call.MayBlock set, on a goroutine.
	Inline Class = iota
	// Blocking handlers run on a goroutine of their own.
	Blocking
)

// Proc is one procedure.
type Proc struct {
	Name    string // as in the RFC: "GETATTR"
	Handler Handler
	Class   Class
	// Waits says, by the arguments of a call of an Inline procedure, that it would
	// have to wait: it is then not begun inline, and runs once. For procedures that
	// are several in one, as COMPOUND is (RFC 8881 section 16.2). Nil for never.
	Waits func(args []byte) bool
	// Cached procedures are not idempotent: their replies are remembered, so
	// that a retransmitted call is answered and not run again. Only for
	// Blocking procedures.
	Cached bool
	// Listing procedures are all computation and memory, as a listing is: few of a
	// client run at a time. Only for Blocking procedures.
	Listing bool
	// Weight is how many bytes a call will hold besides its record while it
	// waits, judged by its arguments; nil for few.
	Weight func(args []byte) int
}

// Handler serves one call: it decodes c.Args, and appends the results to
// c.Reply. What it returns other than Success discards the results.
type Handler func(c *Call) AcceptStat

// AcceptStat is the outcome of an accepted call (RFC 5531 section 9).
type AcceptStat uint32

// Outcomes of a call.
const (
	Success      AcceptStat = 0
	ProgUnavail  AcceptStat = 1
	ProgMismatch AcceptStat = 2
	ProcUnavail  AcceptStat = 3
	GarbageArgs  AcceptStat = 4
	SystemErr    AcceptStat = 5
	// WouldBlock is never sent: the handler, called inline, would have to wait.
	WouldBlock AcceptStat = 1<<32 - 1
)

// Credential flavors (RFC 5531 section 8.2).
const (
	AuthNone uint32 = 0
	AuthSys  uint32 = 1
)

// MaxGroups is the most supplementary groups that AUTH_SYS carries (RFC 5531
// appendix A).
const MaxGroups = 16

// Cred is the credential of a call. For AUTH_NONE all but Flavor are zero.
type Cred struct {
	Flavor   uint32
	UID, GID uint32
	groups   [MaxGroups]uint32
	ngroups  int
}

// Groups are the supplementary groups. They are valid until the handler
// returns.
func (c *Cred) Groups() []uint32 { return c.groups[:c.ngroups] }

// Call is one call while its handler runs. Nothing of it may be kept.
type Call struct {
	// Context is done when the server stops without waiting for calls. The
	// client's going away does not end it.
	Context context.Context //nolint:containedctx // a Call is a call
	// Conn is the connection that the call came on.
	Conn   *Conn
	Remote netip.AddrPort
	XID    uint32
	Cred   Cred
	Args   xdr.Decoder
	// Reply takes the results.
	Reply *xdr.Encoder
	// Status is for the Observer: the program's own status of the results.
	Status uint32
	// MayBlock is set when the handler runs on a goroutine of its own.
	MayBlock bool

	program, version, number uint32
	proc                     *boundProc
	batch                    *batch
	size                     int     // bytes of the record
	record                   *buffer // owns Args, for calls on a goroutine
	held                     int64   // bytes of the server's budget
	entry                    *drcEntry
	waited                   bool // for its turn: the client may be gone
}

// Buffer is data with an owner that wants it back. Release is called once,
// from any goroutine, when the bytes have been sent.
type Buffer interface {
	Bytes() []byte
	Release()
}

// AppendOpaque appends variable-length opaque data that is buf's, and takes
// buf over. Large data is sent from where it is, small data is copied.
func (c *Call) AppendOpaque(buf Buffer) { c.batch.appendOpaque(buf) }
