package nfsclient

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/xdr"
)

// PacedLoad is a Load whose calls are due at moments of their own.
type PacedLoad interface {
	Load
	// Due says, before Next, when the slot's next call should have been sent: a time that is measured from then on does
	// not leave out how long the call had to wait for its turn.
	Due(slot int, at time.Time)
}

// Paced makes calls at a rate, for a time, whether the ones before them were answered or not. Only when 256 are
// outstanding does it wait. The load is never asked to end. The caller's thread is in poll(2) between the calls,
// because Go's own timers are late by up to a millisecond: Go needs a processor (GOMAXPROCS) for each pipeline that
// does this at the same time.
func (p *Pipeline) Paced(rate float64, during time.Duration, load PacedLoad) error {
	tcp, ok := p.nc.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	free := make([]int, 0, maxDepth)
	for slot := range maxDepth {
		free = append(free, slot)
	}
	start, total := time.Now(), int(rate*during.Seconds())
	due := func(n int) time.Time { return start.Add(time.Duration(float64(n) / rate * 1e9)) }
	for issued := 0; issued < total || len(free) < maxDepth; {
		now := time.Now()
		for issued < total && len(free) > 0 && !due(issued).After(now) {
			slot := free[len(free)-1]
			free = free[:len(free)-1]
			load.Due(slot, due(issued))
			p.issue(slot, load)
			issued++
		}
		if err := p.flush(); err != nil {
			return err
		}
		next := start.Add(during + p.timeout)
		if issued < total && len(free) > 0 {
			next = due(issued)
		}
		if free, err = p.receiveUntil(raw, next, load, free); err != nil {
			return err
		}
		if time.Since(start) > during+p.timeout {
			return ErrTimeout
		}
	}
	return nil
}

// receiveUntil waits for replies until a moment, takes those that are here, and adds their slots to free.
func (p *Pipeline) receiveUntil(raw syscall.RawConn, moment time.Time, load Load, free []int) ([]int, error) {
	if ready, err := readable(raw, time.Until(moment)); err != nil || !ready {
		return free, err
	}
	if err := p.fill(time.Now().Add(p.timeout)); err != nil {
		return free, err
	}
	for {
		rec, ok, err := p.record()
		if err != nil || !ok {
			return free, err
		}
		slot := int(binary.BigEndian.Uint32(rec) & (maxDepth - 1))
		res, err := parseReply(rec)
		if err != nil {
			return free, err
		}
		d := xdr.NewDecoder(res)
		if err := load.Done(slot, &d); err != nil {
			return free, err
		}
		free = append(free, slot)
	}
}

// readable waits until there is something to read, for some time at most.
func readable(raw syscall.RawConn, wait time.Duration) (ready bool, err error) {
	timeout := unix.NsecToTimespec(max(int64(wait), 0))
	if e := raw.Control(func(fd uintptr) {
		var n int
		n, err = unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &timeout, nil)
		ready = n > 0
	}); e != nil {
		return false, e
	}
	if err == unix.EINTR {
		return false, nil
	}
	return ready, err
}
