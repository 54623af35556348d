package nfsclient

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
)

// pace is how often a paced pipeline looks whether calls are due.
const pace = 200 * time.Microsecond

// Paced makes calls at a rate, for a time, whether the ones before them were answered or not: those that are due are sent
// together, every 200 microseconds. Only when 256 are outstanding does it wait. The load is never asked to end.
func (p *Pipeline) Paced(rate float64, during time.Duration, load Load) error {
	start := time.Now()
	free := make([]int, 0, maxDepth)
	for slot := range maxDepth {
		free = append(free, slot)
	}
	issued := 0
	for now := start; now.Sub(start) < during || len(free) < maxDepth; now = time.Now() {
		due := 0
		if elapsed := now.Sub(start); elapsed < during {
			due = int(rate*elapsed.Seconds()) - issued
		}
		for ; due > 0 && len(free) > 0; due-- {
			p.issue(free[len(free)-1], load)
			free = free[:len(free)-1]
			issued++
		}
		if err := p.flush(); err != nil {
			return err
		}
		var err error
		if free, err = p.receiveUntil(now.Add(pace), load, free); err != nil {
			return err
		}
		if time.Since(start) > during+p.timeout {
			return ErrTimeout
		}
	}
	return nil
}

// receiveUntil takes replies until a moment, and adds their slots to free.
func (p *Pipeline) receiveUntil(moment time.Time, load Load, free []int) ([]int, error) {
	for {
		rec, ok, err := p.record()
		switch {
		case err != nil:
			return free, err
		case ok:
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
			continue
		}
		if err := p.fill(moment); errors.Is(err, os.ErrDeadlineExceeded) {
			return free, nil
		} else if err != nil {
			return free, err
		}
	}
}
