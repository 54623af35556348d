package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/dittofs/dittofs/test/nfsclient"
)

func logAttacks() []*attack {
	return []*attack{
		{name: "log-refused", sends: "MNT of a share that refuses it", conns: [2]int{8, 8}, run: refusedMounts(origin{}, false)},
		{name: "log-refused-paths", sends: "the same, of another path each time", conns: [2]int{0, 8}, run: refusedMounts(origin{}, true)},
		{name: "log-refused-hosts", sends: "the same from 250 addresses", conns: [2]int{0, 250}, run: refusedMounts(origin{addresses: 250}, true)},
		{name: "log-mounted", sends: "MNT that is granted", conns: [2]int{0, 8}, run: flood(origin{}, repeated(mount(nfsclient.ProcMnt, stringArgs("/export"))))},
		{name: "log-reader-dies", sends: "the same to a server whose log nobody reads any more", conns: [2]int{8, 8}, server: deadReader, run: refusedMounts(origin{}, false)},
		{name: "log-reader-stalls", sends: "the same to a server whose log is not read", conns: [2]int{8, 8}, server: stalledReader, run: refusedMounts(origin{}, true)},
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
				if err := a.crowd.write(ctx, conn, block); err != nil {
					return err
				}
				sleep(ctx, 10*time.Millisecond)
			}
			return nil
		})
		return nil
	}
}

// deadReader is a log that goes to a pipe, whose reader takes a little and dies.
func deadReader() (variant, func(), error) {
	r, w, err := os.Pipe()
	if err != nil {
		return variant{}, nil, err
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = r.Read(make([]byte, 1024)) // the server has begun
		_ = r.Close()
	}()
	return variant{log: w}, func() {
		_ = w.Close()
		<-read
	}, nil
}

// stalledReader is a log that goes to a pipe which is never read.
func stalledReader() (variant, func(), error) {
	r, w, err := os.Pipe()
	if err != nil {
		return variant{}, nil, err
	}
	return variant{log: w}, func() { _ = errors.Join(w.Close(), r.Close()) }, nil
}
