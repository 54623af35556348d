package space

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type fakeDisk struct {
	total, free uint64
	err         error
	asked       int
}

func (d *fakeDisk) statfs() (uint64, uint64, error) {
	d.asked++
	return d.total, d.free, d.err
}

func TestDataIsRefusedBeforeNamesAndNamesBeforeRemovals(t *testing.T) {
	const total = 16 << 30
	for _, c := range []struct {
		free                          uint64
		data, rewrite, names, changes bool
	}{
		{total, true, true, true, true},
		{mostReserve + 10, true, true, true, true},
		{mostReserve + 9, false, true, true, true},
		{mostReserve/2 + 10, false, true, true, true},
		{mostReserve/2 + 9, false, false, true, true},
		{mostReserve / 2, false, false, true, true},
		{mostReserve/2 - 1, false, false, false, true},
		{mostReserve / 8 * 3, false, false, false, true},
		{mostReserve/8*3 - 1, false, false, false, false},
		{0, false, false, false, false},
	} {
		d := &fakeDisk{total: total, free: c.free}
		r := New(d.statfs, slog.New(slog.DiscardHandler))
		for what, got := range map[string]struct {
			err error
			ok  bool
		}{
			"data": {r.Data(10), c.data}, "rewrite": {r.Rewrite(10), c.rewrite}, "names": {r.Names(), c.names}, "changes": {r.Changes(), c.changes},
		} {
			if (got.err == nil) != got.ok || got.err != nil && !errors.Is(got.err, ErrLow) {
				t.Errorf("%d bytes free: %s: %v", c.free, what, got.err)
			}
		}
	}
}

func TestASmallDiskKeepsMoreThanItsPart(t *testing.T) {
	for total, want := range map[uint64]uint64{
		1 << 20: 1 << 20, LeastDisk: leastReserve, 512 << 20: leastReserve, 1 << 30: 64 << 20, 16 << 30: mostReserve,
	} {
		if got := Bytes(total); got != want {
			t.Errorf("of %d bytes, %d are kept, want %d", total, got, want)
		}
	}
}

func TestADiskThatCannotBeAskedIsNotFull(t *testing.T) {
	r := New((&fakeDisk{err: errors.New("away")}).statfs, slog.New(slog.DiscardHandler))
	if err := errors.Join(r.Data(1), r.Rewrite(1), r.Names(), (*Reserve)(nil).Data(1),
		(*Reserve)(nil).Names()); err != nil {
		t.Error(err)
	}
}

func TestNamesAskTheSystemTenTimesASecondAndEachChangeIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := &fakeDisk{total: 1 << 30, free: 1 << 29}
		r := New(d.statfs, slog.New(slog.NewTextHandler(&log, nil)))
		for _, step := range []struct {
			free uint64
			ok   bool
			want int // lines
		}{{1 << 29, true, 0}, {0, false, 1}, {25 << 20, false, 1}, {0, false, 1}, {1 << 29, true, 2}} {
			d.free, d.asked = step.free, 0
			time.Sleep(time.Second)
			for range 10 {
				for range 100 {
					if err := r.Names(); (err == nil) != step.ok {
						t.Fatal(err)
					}
				}
				time.Sleep(glance)
			}
			if d.asked < 9 || d.asked > 11 {
				t.Errorf("asked %d times", d.asked)
			}
			if n := strings.Count(log.String(), "\n"); n != step.want {
				t.Errorf("%d lines: %s", n, log.String())
			}
		}
	})
}
