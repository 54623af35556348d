// Package vfstest is the conformance suite of vfs.FileSystem: POSIX semantics,
// what RFC 1813 asks of the attributes around each operation, and what the
// table of durability promises. It exists so that every combination of stores
// is held to the same behaviour: a combination's test is a constructor and
// one call.
//
//	func TestFileSystemOverPebble(t *testing.T) {
//		vfstest.Run(t, openPebble)
//	}
//
// Beside the suite there are random histories against a model (RunHistories),
// concurrent histories that end in a check of the whole metadata store
// (RunStress), and that check alone (CheckConsistent). The package imports vfs
// and the contract of meta, no backend.
package vfstest

import (
	"context"
	"testing"

	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/vfs"
)

// Instance is a running filesystem under test. It is stopped by Close, at the
// latest when its test ends.
type Instance struct {
	FS      vfs.FileSystem
	Handles *vfs.Handles
	// Meta reads the metadata as the filesystem sees it.
	Meta meta.Reader
	// Shares makes shares known, or changes them, and returns their numbers
	// by name.
	Shares func([]vfs.ShareSpec) (map[string]uint32, error)
	// Restart stops the instance cleanly and starts another over the same
	// stores. nil if the stores forget.
	Restart func() Instance
	// Crash stops the instance without any flush, as kill -9 does, and starts
	// another over the same stores. nil if the stores forget.
	Crash func() Instance
	// Remote: durability "remote", where a truncation does not make unstable
	// data durable.
	Remote bool
	// Close stops the instance; again is no error.
	Close func()
}

// Open makes a new, empty instance. With sealing small segments are sealed and
// handed off while the test runs; without, data moves only when the test says
// so.
type Open func(t testing.TB) Instance

// Run runs the suite; each test has an instance of its own.
func Run(t *testing.T, open Open) {
	groups := []struct {
		name  string
		tests []behaviour
	}{
		{"Permissions", permissionTests},
		{"Privilege", privilegeTests},
		{"Create", createTests},
		{"Names", nameTests},
		{"Links", linkTests},
		{"Remove", removeTests},
		{"Rename", renameTests},
		{"Held", heldTests},
		{"Data", dataTests},
		{"Times", timeTests},
		{"ReadDir", readdirTests},
		{"Listing", listingTests},
		{"Quota", quotaTests},
		{"Shares", shareTests},
		{"WCC", wccTests},
		{"Handles", handleTests},
		{"Durability", durabilityTests},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, b := range g.tests {
				t.Run(b.name, func(t *testing.T) {
					e := newEnv(t, open)
					b.test(e)
					if !t.Failed() {
						e.settle()
						CheckConsistent(t, e.Meta)
					}
				})
			}
		})
	}
}

// behaviour is one test; its name is a sentence.
type behaviour struct {
	name string
	test func(*env)
}

// T is what the helpers need of a test: of testing.T and of rapid.T.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
}

// env is a test's instance with one share, and short ways to use it. Helpers
// without an error result fail the test.
type env struct {
	T
	Instance
	share uint32
	top   vfs.ID
}

// mainShare is open to everybody, so that tests of permissions decide by the
// directories they make.
var mainShare = vfs.ShareSpec{Name: "main", Mode: 0o777}

func newEnv(t testing.TB, open Open) *env {
	e := &env{T: t, Instance: open(t)}
	e.share = e.addShare(mainShare)
	e.top = e.rootOf(e.share)
	return e
}

func (e *env) addShare(s vfs.ShareSpec) uint32 {
	e.Helper()
	ids, err := e.Shares([]vfs.ShareSpec{s})
	if err != nil {
		e.Fatalf("share %q: %v", s.Name, err)
	}
	return ids[s.Name]
}

func (e *env) rootOf(share uint32) vfs.ID {
	e.Helper()
	id, err := e.FS.Root(share)
	if err != nil {
		e.Fatalf("root of share %d: %v", share, err)
	}
	return id
}

// restart goes on with an instance that was stopped cleanly in between.
func (e *env) restart() {
	e.Helper()
	if e.Restart == nil {
		e.Skip("the stores of this instance forget")
	}
	e.again(e.Restart())
}

// crash goes on with an instance whose predecessor was killed.
func (e *env) crash() {
	e.Helper()
	if e.Crash == nil {
		e.Skip("the stores of this instance forget")
	}
	e.again(e.Crash())
}

func (e *env) again(i Instance) {
	e.Helper()
	e.Instance = i
	if id := e.addShare(mainShare); id != e.share {
		e.Fatalf("share %q has number %d after the restart, was %d", mainShare.Name, id, e.share)
	}
	if top := e.rootOf(e.share); top != e.top {
		e.Fatalf("the top directory is %+v after the restart, was %+v", top, e.top)
	}
}

// settle makes all data durable, so that the metadata store says what the
// filesystem says.
func (e *env) settle() {
	e.Helper()
	e.settleBelow(e.top)
}

func (e *env) settleBelow(dir vfs.ID) {
	e.Helper()
	e.walk(dir, func(a vfs.Attr) {
		if a.Type == vfs.TypeRegular {
			e.commit(a.ID)
		}
	})
}

// as is a request of a user.
func as(uid, gid uint32, groups ...uint32) *vfs.Request {
	return &vfs.Request{Context: context.Background(), Cred: vfs.Cred{UID: uid, GID: gid, Groups: groups}}
}

// Users of the tests.
var (
	super = as(0, 0)
	alice = as(1001, 100)
	bob   = as(1002, 100, 200) // of Alice's group
	carol = as(1003, 300)      // of nobody's group
)

func ptr[T any](v T) *T { return &v }

func mode(m uint32) vfs.SetAttr { return vfs.SetAttr{Mode: &m} }
