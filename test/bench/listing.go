package main

import (
	"errors"
	"time"

	"github.com/dittofs/dittofs/internal/xdr"
	"github.com/dittofs/dittofs/test/nfsclient"
)

const listingBytes = 64 << 10 // of one reply

// listing reads a directory from its first entry to its last with READDIRPLUS, as it must be read, one call after the
// other; again and again until the time is over.
type listing struct {
	dir          nfsclient.Handle
	wanted       int // entries that there are, without "." and ".."
	end          time.Time
	cookie, verf uint64
	seen         int // of this reading
	all          int
}

func (l *listing) Next(_ int, args *xdr.Encoder) (uint32, bool) {
	if l.cookie == 0 && l.all > 0 && time.Now().After(l.end) {
		return 0, false
	}
	args.Opaque(l.dir)
	args.Uint64(l.cookie)
	args.Uint64(l.verf)
	args.Uint32(listingBytes)
	args.Uint32(listingBytes)
	return nfsclient.ProcReaddirPlus, true
}

func (l *listing) Done(_ int, results *xdr.Decoder) error {
	if err := status(results); err != nil {
		return err
	}
	skipAttr(results)
	l.verf = results.Uint64()
	for results.Bool() {
		results.Uint64()
		results.Opaque(255)
		l.cookie = results.Uint64()
		skipAttr(results)
		if results.Bool() {
			results.Opaque(64)
		}
		l.seen++
	}
	if results.Bool() { // the end
		if l.seen < l.wanted {
			return errors.New("the listing is not whole")
		}
		l.all += l.seen
		l.cookie, l.verf, l.seen = 0, 0, 0
	}
	return results.Err()
}

func skipAttr(d *xdr.Decoder) {
	if d.Bool() {
		d.Fixed(84)
	}
}

func (l *listing) count() int { return l.all }

// times measures how long each call of one slot takes, in microseconds.
type times struct {
	until
	began time.Time
	each  []float64
}

func (t *times) Next(slot int, args *xdr.Encoder) (uint32, bool) {
	t.began = time.Now()
	return t.until.Next(slot, args)
}

func (t *times) Done(slot int, results *xdr.Decoder) error {
	t.each = append(t.each, float64(time.Since(t.began).Nanoseconds())/1e3)
	return t.until.Done(slot, results)
}
