package journal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

const mib = 1 << 20

var errStopped, errFailed = errors.New("stopped"), errors.New("failed")

// desk is a budget of 128 MiB, less what it leaves free, whose pages go when they
// are asked to.
type desk struct {
	*Budget
	stopping, failing chan struct{}
	evicted           int64
	waits             int
}

func newDesk() *desk {
	d := &desk{stopping: make(chan struct{}), failing: make(chan struct{})}
	d.Budget = NewBudget(BudgetOptions{
		CacheSize: 128 * mib, MaxFiles: 100, FullTimeout: time.Minute,
		Evict: func(n int64) int64 {
			gone := min(n, d.Use().Pages)
			d.evicted += gone
			return gone
		},
		Failing: d.failing, Failure: func() error { return errFailed },
		Stopping: d.stopping, Stopped: errStopped,
		Waiting: func() { d.waits++ },
	})
	return d
}

// reserve asks for n bytes in the background, for at most d.
func (d *desk) reserve(n, record int64, patience time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() { done <- d.Reserve(context.Background(), n, record, time.Now().Add(patience)) }()
	synctest.Wait()
	return done
}

func pending(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	default:
	}
}

func TestPagesGiveWayToTheJournalAndWritersWaitForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		if !d.TakePages(100 * mib) {
			t.Fatal("an empty cache has no room for pages")
		}
		if err := <-d.reserve(64*mib, 1, time.Hour); err != nil || d.evicted != 37*mib {
			t.Fatalf("%v, %d MiB of pages went", err, d.evicted/mib)
		}
		first := d.reserve(64*mib, 1, 10*time.Second)
		pending(t, first)
		if use := d.Use(); use.Pages != 0 || use.Journal != 64*mib || use.Waiting != 1 {
			t.Errorf("while a writer waits: %+v", use)
		}
		if d.TakePages(1) {
			t.Error("pages are taken while a writer waits")
		}
		d.Leave(64*mib, false)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if use := d.Use(); use.Journal != 64*mib || use.Files != 1 || use.Waiting != 0 {
			t.Errorf("afterwards: %+v", use)
		}
	})
}

func TestAWriterIsAskedToComeAgainAndAfterAWhileThereIsNoSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.Inherit(127 * mib)
		began := time.Now()
		for time.Since(began) < 50*time.Second {
			if err := <-d.reserve(mib, 1, 10*time.Second); !errors.Is(err, ErrBusy) {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
		}
		if err := <-d.reserve(mib, 1, 20*time.Second); !errors.Is(err, ErrNoSpace) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := <-d.reserve(mib, 1, 20*time.Second); !errors.Is(err, ErrNoSpace) || time.Since(began) != time.Minute {
			t.Errorf("the next one waits: %v", err)
		}
		d.Leave(127*mib, true) // its file stays as one of pages
		if err := <-d.reserve(mib, 1, time.Second); err != nil || d.Use().Pages != 126*mib {
			t.Errorf("after room was given back: %v, %+v", err, d.Use())
		}
		if err := d.Reserve(t.Context(), 128*mib, 1, time.Now()); !errors.Is(err, ErrNoSpace) {
			t.Errorf("more than there is: %v", err)
		}
	})
}

func TestOnlySoMuchWaitsOnceTheJournalHasBeenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.Inherit(127 * mib)
		var waiting []<-chan error
		for range 32 {
			waiting = append(waiting, d.reserve(mib, mib, 30*time.Second))
		}
		more := d.reserve(mib, mib, 30*time.Second) // it is full only now
		pending(t, more)
		time.Sleep(2 * time.Second)
		if err := <-d.reserve(mib, mib, 30*time.Second); !errors.Is(err, ErrBusy) {
			t.Errorf("one more than may wait: %v", err)
		}
		close(d.stopping)
		for _, done := range append(waiting, more) {
			if err := <-done; !errors.Is(err, errStopped) {
				t.Fatal(err)
			}
		}
		if d.Use().Waiting != 0 || d.TakePages(1) {
			t.Errorf("after the stop: %+v", d.Use())
		}
	})
}

func TestAFailureOrTheEndOfTheCallEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.Inherit(127 * mib)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Reserve(ctx, mib, 1, time.Now().Add(time.Hour)) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		failed := d.reserve(mib, 1, time.Second)
		close(d.failing)
		if err := <-failed; !errors.Is(err, errFailed) {
			t.Error(err)
		}
	})
}

func TestWhatNoWriterWaitsForTakesNoMoreThanHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		if err := d.TryReserve(60*mib, true); err != nil {
			t.Fatal(err)
		}
		if err := d.TryReserve(4*mib, true); !errors.Is(err, ErrNoSpace) {
			t.Errorf("more than half: %v", err)
		}
		if !d.TakePages(67 * mib) {
			t.Fatal("no pages")
		}
		if err := d.TryReserve(3*mib, true); err != nil || d.evicted == 0 {
			t.Errorf("pages do not give way: %v", err)
		}
		d.Inherit(63 * mib)
		waits := d.reserve(10*mib, 1, time.Minute)
		pending(t, waits)
		d.Leave(60*mib, false)
		if err := <-waits; err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.Inherit(40 * mib)
		big := d.reserve(120*mib, 1, time.Minute)
		pending(t, big)
		if err := d.TryReserve(mib, true); !errors.Is(err, ErrNoSpace) {
			t.Errorf("before a writer that waits: %v", err)
		}
		if err := d.TryReserve(mib, false); err != nil {
			t.Errorf("for the writers: %v", err)
		}
		d.Leave(41*mib, false)
		if err := <-big; err != nil {
			t.Error(err)
		}
	})
}

func TestASmallerCacheFitsAsFarAsPagesGo(t *testing.T) {
	d := newDesk()
	d.InheritPages(100 * mib)
	d.Inherit(100 * mib)
	d.Fit()
	if use := d.Use(); use.Pages != 27*mib || use.Journal != 100*mib {
		t.Errorf("%+v", use)
	}
	d.Inherit(100 * mib)
	d.Fit()
	if use := d.Use(); use.Pages != 0 || use.Journal != 200*mib {
		t.Errorf("%+v", use)
	}
}

func TestAChangeIsNeverMissedByWhoAskedBefore(t *testing.T) {
	d := newDesk()
	for what, change := range map[string]func(){
		"Leave":     func() { d.Leave(0, false) },
		"Shrink":    func() { d.Shrink(0) },
		"GivePages": func() { d.GivePages(0) },
		"Signal":    d.Signal,
	} {
		freed := d.Freed()
		change()
		select {
		case <-freed:
		default:
			t.Errorf("%s tells nobody", what)
		}
	}
}
