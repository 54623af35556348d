package pagecache

import (
	"testing"
	"time"
)

const mib = 1 << 20

// wire is a content store of a bandwidth and a delay, and a reader that asks for
// each MiB as soon as it has the one before, or at its own speed if that is
// less, all by a clock of its own.
type wire struct {
	bandwidth, reader float64 // bytes a second; reader 0: as fast as it gets them
	delay             time.Duration
}

// read reads so much with the window's help, and returns how long it took.
func (l wire) read(w *window, total int64, most int64) time.Duration {
	start := time.Unix(0, 0)
	now, free := start, start // the reader's time, and when the wire is free
	w.begin(now, 0, 0, 0)
	arrives := map[int64]time.Time{} // by MiB
	asked := int64(0)
	for at := int64(0); at < total; at += mib {
		for ; asked < min(at+mib+w.size, total); asked += mib {
			if sent := now.Add(l.delay); sent.After(free) {
				free = sent
			}
			free = free.Add(time.Duration(mib / l.bandwidth * 1e9))
			arrives[asked] = free
		}
		here := arrives[at]
		waited := here.After(now)
		if waited {
			now = here
		}
		if l.reader > 0 {
			now = now.Add(time.Duration(mib / l.reader * 1e9))
		}
		w.note(now, uint64(at+mib), waited)
		w.limit(most)
	}
	return now.Sub(start)
}

func TestTheWindowFollowsTheBandwidthAndTheDelay(t *testing.T) {
	const total, most = 4 << 30, 256 * mib
	for name, c := range map[string]struct {
		wire
		least, greatest int64   // MiB of the window in the end
		part            float64 // of what the wire can do
	}{
		"near":                     {wire{bandwidth: 1000 * mib, delay: 0}, 16, 32, 0.9},
		"30 ms, 500 MiB/s":         {wire{bandwidth: 500 * mib, delay: 30 * time.Millisecond}, 15, 64, 0.9},
		"100 ms, 500 MiB/s":        {wire{bandwidth: 500 * mib, delay: 100 * time.Millisecond}, 50, 128, 0.9},
		"200 ms, 1000 MiB/s":       {wire{bandwidth: 1000 * mib, delay: 200 * time.Millisecond}, 200, 256, 0.7},
		"a reader slower than all": {wire{bandwidth: 500 * mib, delay: 100 * time.Millisecond, reader: 20 * mib}, 1, 32, 0},
	} {
		var w window
		took := c.read(&w, total, most)
		if w.size < c.least*mib || w.size > c.greatest*mib {
			t.Errorf("%s: a window of %d MiB, want %d to %d", name, w.size/mib, c.least, c.greatest)
		}
		if rate := total / took.Seconds(); rate < c.part*c.bandwidth {
			t.Errorf("%s: %.0f MiB/s of %.0f", name, rate/mib, c.bandwidth/mib)
		}
	}
}

func TestTheWindowStaysWithinItsLimit(t *testing.T) {
	for _, most := range []int64{leastAhead, 5 * mib, 32 * mib} {
		var w window
		wire{bandwidth: 1000 * mib, delay: time.Second}.read(&w, 1<<30, most)
		if w.size > most {
			t.Errorf("a window of %d MiB, at most %d are allowed", w.size/mib, most/mib)
		}
	}
}

func TestWhatIsFetchedForNothingMakesTheNextWindowSmaller(t *testing.T) {
	var w window
	now := time.Unix(0, 0)
	w.begin(now, 0, 0, 0)
	first := w.size
	for range 10 {
		before := w.size
		w.begin(now, 0, 16*mib, 15*mib)
		if w.size >= before && w.size > leastAhead {
			t.Errorf("after a reader that stopped early the window is %d, %d before", w.size, before)
		}
	}
	if w.size != leastAhead {
		t.Errorf("after ten of them it is %d", w.size)
	}
	for range 10 {
		w.begin(now, 0, 16*mib, mib)
	}
	if w.size != first {
		t.Errorf("after ten that read what was fetched it is %d, at first %d", w.size, first)
	}
	w.lost()
	if w.size != first/2 {
		t.Errorf("after pages were lost it is %d, %d before", w.size, first)
	}
}

func TestReadersShareWhatMayBeFetchedAhead(t *testing.T) {
	now := time.Unix(100, 0)
	s := shares{total: 64 * mib, began: now}
	turns := make([]int64, 8)
	read := func(readers int) (share int64) {
		for i := range readers {
			share = s.of(now, &turns[i])
		}
		return share
	}
	if got := read(1); got != 64*mib {
		t.Errorf("one reader has %d MiB", got/mib)
	}
	if got := read(8); got != 8*mib {
		t.Errorf("one of eight readers has %d MiB", got/mib)
	}
	now = now.Add(shareTurn) // they may still be there
	if got := read(1); got != 8*mib {
		t.Errorf("one has %d MiB while the others may come back", got/mib)
	}
	now = now.Add(shareTurn)
	if got := read(1); got != 64*mib {
		t.Errorf("one that has been alone for long has %d MiB", got/mib)
	}
}

// A reader takes the time before it has the lock: another may come in between,
// with a turn of its own.
func TestReaderMayBeOvertakenAtTheEndOfATurn(t *testing.T) {
	began := time.Unix(100, 0)
	s := shares{total: 64 * mib, began: began}
	var slow, fast int64
	s.of(began, &slow)
	s.of(began.Add(shareTurn), &fast)
	if got := s.of(began.Add(shareTurn-1), &slow); got != 32*mib {
		t.Errorf("one of two readers has %d MiB", got/mib)
	}
}
