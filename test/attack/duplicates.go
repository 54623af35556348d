package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

func duplicateAttacks() []*attack {
	return []*attack{
		{name: "duplicate-arguments", sends: "SYMLINK with the xid and size of another, whose target differs late", conns: [2]int{1, 1}, run: sameXID(lateDifference)},
		{name: "duplicate-credentials", sends: "CREATE with the xid of root's, by others", conns: [2]int{1, 1}, run: sameXID(otherCredentials)},
		{name: "duplicate-flood", sends: "REMOVE of no file, each with another xid, and takes the replies", conns: [2]int{0, 16}, run: removeFlood},
	}
}

// wrongReply is a reply to another call than the one that was made.
type wrongReply struct{ error }

// sameXID makes calls of the same transaction number again and again, which must not be answered with each other's
// replies. That a server which is attacked by others, too, ends a connection is no fault.
func sameXID(try func(server string, f *files, n int) error) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		for n := 0; ctx.Err() == nil && !a.server.ended(); n++ {
			err := try(a.server.NFS, a.files, n)
			if errors.As(err, new(wrongReply)) {
				return err
			}
			if err != nil {
				sleep(ctx, again)
			}
		}
		return nil
	}
}

// status is what a call was answered with, other than that it should come again.
func status(c *nfsclient.Client, proc uint32, args []byte) (nfsclient.Status, error) {
	for {
		res, err := c.CallXID(xid, nfsclient.ProgramNFS, 3, proc, args)
		if err != nil {
			return 0, err
		}
		d := xdr.NewDecoder(res)
		if st := nfsclient.Status(d.Uint32()); st != nfsclient.ErrJukebox || d.Err() != nil {
			return st, d.Err()
		}
		time.Sleep(refusedPause)
	}
}

// lateDifference makes a symbolic link, and another of the same name.
func lateDifference(server string, f *files, n int) error {
	c, err := nfsclient.Dial(server, nfsclient.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	symlink := func(end string) (nfsclient.Status, error) {
		var e xdr.Encoder
		e.Append(entryArgs(f.root, fmt.Sprintf("late%d", n)))
		for range 6 { // no attribute is set
			e.Uint32(0)
		}
		e.String(strings.Repeat("x", 1000) + end)
		return status(c, nfsclient.ProcSymlink, e.Bytes())
	}
	first, err := symlink("a")
	if err != nil || first != 0 {
		return errors.Join(err, fmt.Errorf("the first SYMLINK: %w", first))
	}
	second, err := symlink("b")
	if err == nil && second != nfsclient.ErrExist {
		err = wrongReply{
			fmt.Errorf("SYMLINK with the same xid and another target: %w, want EXIST: it was answered with the first "+
				"one's reply", second),
		}
	}
	return err
}

// otherCredentials lets root make a file, and others make it in the same words.
func otherCredentials(server string, f *files, n int) error {
	create := func(o nfsclient.Options) (nfsclient.Status, error) {
		c, err := nfsclient.Dial(server, o)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		var e xdr.Encoder
		e.Append(entryArgs(f.own, fmt.Sprintf("other%d", n)))
		e.Uint32(nfsclient.Guarded)
		for range 6 {
			e.Uint32(0)
		}
		return status(c, nfsclient.ProcCreate, e.Bytes())
	}
	if first, err := create(nfsclient.Options{}); err != nil || first != 0 {
		return errors.Join(err, fmt.Errorf("root's CREATE: %w", first))
	}
	var errs []error
	for who, o := range map[string]nfsclient.Options{
		"AUTH_NONE":     {AuthNone: true},
		"another group": {GID: 7},
		"other groups":  {Groups: []uint32{7}},
		"another user":  {UID: 7},
	} {
		switch st, err := create(o); {
		case err != nil:
			errs = append(errs, err)
		case st != nfsclient.ErrExist && st != nfsclient.ErrAcces:
			errs = append(errs, wrongReply{
				fmt.Errorf("CREATE with root's xid by %s: %w, want EXIST or ACCES: it was answered with root's reply", who, st),
			})
		}
	}
	return errors.Join(errs...)
}

// removeFlood makes the cache remember as much as it can.
func removeFlood(ctx context.Context, a *arena) error {
	var n atomic.Int64
	a.each(ctx, origin{}, func(ctx context.Context, conn *net.TCPConn) error {
		go discard(conn)
		for ctx.Err() == nil && n.Add(1) < 10_000 {
			if err := a.crowd.write(conn, removes(a.files)); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return nil
	})
	return nil
}
