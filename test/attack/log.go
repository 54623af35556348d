package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

func logAttacks() []*attack {
	return []*attack{
		{name: "log-refused", sends: "MNT of a share that refuses it", conns: [2]int{8, 8}, run: refusedMounts(origin{}, false)},
		{name: "log-refused-paths", sends: "as log-refused, of another path each time", conns: [2]int{0, 8}, run: refusedMounts(origin{}, true)},
		{name: "log-refused-hosts", sends: "as log-refused-paths, from 250 addresses", conns: [2]int{0, 250}, run: refusedMounts(origin{addresses: 250}, true)},
		{name: "log-mounted", sends: "MNT that is granted", conns: [2]int{0, 8}, run: flood(repeated(mount(nfsclient.ProcMnt, stringArgs("/export"))))},
		{name: "log-reader-dies", sends: "as log-refused, to a server whose log's reader has died", conns: [2]int{8, 8}, server: deadReader, run: refusedMounts(origin{}, false)},
		{name: "log-reader-stalls", sends: "as log-refused-paths, to a server whose log's reader has stalled", conns: [2]int{8, 8}, server: stalledReader, run: refusedMounts(origin{}, true)},
	}
}

// refusedMounts asks for what is refused, and takes the replies.
func refusedMounts(from origin, others bool) func(context.Context, *arena) error {
	return func(ctx context.Context, a *arena) error {
		var n atomic.Int64
		a.each(ctx, from, func(ctx context.Context, conn *net.TCPConn) error {
			go discard(conn)
			for ctx.Err() == nil {
				var block []byte
				for range 64 {
					path := "/refused"
					if others {
						path = fmt.Sprintf("/refused/%d\n", n.Add(1))
					}
					block = append(block, mount(nfsclient.ProcMnt, stringArgs(path))...)
				}
				if err := a.crowd.write(conn, block); err != nil {
					return err
				}
				sleep(ctx, 10*time.Millisecond)
			}
			return nil
		})
		return nil
	}
}

// deadReader is a log that goes to a pipe, whose reader dies when the attack begins.
func deadReader() (variant, error) { return piped(func(r *os.File) { _ = r.Close() }) }

// stalledReader is a log that goes to a pipe which is not read any more when the attack begins.
func stalledReader() (variant, error) { return piped(func(*os.File) {}) }

// piped is a log that goes to a pipe. When the attack begins, its reader stops and does then.
func piped(then func(r *os.File)) (variant, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return variant{}, err
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_, _ = io.Copy(io.Discard, r) // until the deadline
	}()
	return variant{
		log: w,
		begin: func() {
			_ = r.SetReadDeadline(time.Now())
			<-stopped
			then(r)
		},
		end: func() { _ = errors.Join(w.Close(), r.Close()) },
	}, nil
}
