package budget

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

const mib = 1 << 20

func address(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}

// fill lets accounts take pieces in turn until none may have another one.
func fill(accounts []*Account, piece int64) {
	for took := true; took; {
		took = false
		for _, a := range accounts {
			took = a.Try(piece) || took
		}
	}
}

func open(b *Budget, host, n int) (accounts []*Account) {
	for range n {
		accounts = append(accounts, b.Open(address(host), func() {}))
	}
	return accounts
}

func TestSomethingIsLeftForWhoHoldsNothing(t *testing.T) {
	const limit = 256 * mib
	for _, test := range []struct {
		hosts, conns int   // that take all they may, in pieces of 4 KiB
		other, same  int64 // what another host, and another connection of one of them, may still have
	}{
		{1, 1, 170 * mib, 85 * mib},
		{1, 24, 130 * mib, 5 * mib},
		{1, 1500, 128 * mib, 60 << 10},
		{24, 1, 19 * mib, 9 * mib},
		{24, 24, 10 * mib, 300 << 10},
		{100, 10, 2 * mib, 200 << 10},
	} {
		t.Run(fmt.Sprintf("%d hosts with %d connections", test.hosts, test.conns), func(t *testing.T) {
			b := New(limit)
			var all []*Account
			for h := range test.hosts {
				all = append(all, open(b, h, test.conns)...)
			}
			fill(all, 4<<10)
			if a := b.Open(address(1000), nil); !a.Try(test.other) {
				t.Errorf("another host may not have %d KiB; all hold %d MiB", test.other>>10, b.used/mib)
			} else {
				a.Release(test.other)
			}
			if a := b.Open(address(0), nil); !a.Try(test.same) {
				t.Errorf("another connection may not have %d KiB; all hold %d MiB", test.same>>10, b.used/mib)
			}
		})
	}
}

// acquire calls Acquire on a goroutine, and returns a channel with its result.
func acquire(a *Account, n int64) chan error {
	done := make(chan error, 1)
	go func() { done <- a.Acquire(context.Background(), n) }()
	synctest.Wait()
	return done
}

func granted(done chan error) bool {
	synctest.Wait()
	select {
	case err := <-done:
		return err == nil
	default:
		return false
	}
}

func TestWhoHoldsAndWantsLeastIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(16 * mib)
		holder := open(b, 0, 1)[0]
		holder.Exchange(0, 8*mib)
		greedy, modest := open(b, 0, 1)[0], open(b, 0, 1)[0]
		greedy.Exchange(0, mib/2)
		first, second := acquire(greedy, 100<<10), acquire(modest, 200<<10)
		holder.Release(700 << 10)
		if !granted(second) || granted(first) {
			t.Error("who holds more was served first")
		}
		holder.Release(8*mib - 700<<10)
		if !granted(first) {
			t.Error("the other one was not served when all was given back")
		}
	})
}

func TestWhoWantsMuchIsServedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(16 * mib)
		holder := open(b, 0, 1)[0]
		holder.Exchange(0, 8*mib)
		much := acquire(open(b, 0, 1)[0], 4*mib)
		time.Sleep(10 * time.Second)
		little := acquire(open(b, 0, 1)[0], 100<<10)
		holder.Release(8*mib - 2*mib)
		if !granted(much) {
			t.Error("a late small request overtook one that had waited for ten seconds")
		}
		_ = little
	})
}

// hostile is an account that is closed by the budget, as a connection is.
func hostile(b *Budget, host int, closed *[]int) *Account {
	var a *Account
	a = b.Open(address(host), func() {
		*closed = append(*closed, host)
		a.Release(a.used)
		a.Close()
	})
	return a
}

func TestStalledConnectionsOfTheGreediestHostGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(64 * mib)
		var closed []int
		for host, conns := range []int{4, 2} { // host 0 holds twice as much as host 1
			for range conns {
				a := hostile(b, host, &closed)
				a.Exchange(0, 6*mib)
				a.Out.Begin()
			}
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Open(address(9), nil).Acquire(ctx, 30*mib); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > patience+2*tick {
			t.Errorf("waited %v", d)
		}
		if len(closed) != 1 || closed[0] != 0 {
			t.Errorf("connections of hosts %v were closed, want one of host 0", closed)
		}
	})
}

func TestNobodyIsClosedForAGreedierHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(16 * mib)
		var closed []int
		modest := hostile(b, 1, &closed)
		modest.Exchange(0, mib)
		modest.Out.Begin()
		greedy := open(b, 0, 1)[0]
		greedy.Exchange(0, 5*mib)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := greedy.Acquire(ctx, mib); !errors.Is(err, context.DeadlineExceeded) || len(closed) > 0 {
			t.Errorf("%v; closed for it: %v", err, closed)
		}
		if u := b.Usage(); u.Used != 6*mib || u.Waiting != 0 {
			t.Errorf("after the wait: %+v", u)
		}
	})
}

func TestClientsThatMoveEnoughKeepTheirConnections(t *testing.T) {
	for _, test := range []struct {
		name   string
		every  time.Duration
		bytes  int
		closed bool
	}{
		{"a steady one", 100 * time.Millisecond, 64 << 10, false},
		{"one with pauses", 400 * time.Millisecond, 256 << 10, false},
		{"one that dribbles", 100 * time.Millisecond, 1, true},
		{"one that stops", time.Hour, 1 << 20, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(16 * mib)
				var closed []int
				a := hostile(b, 0, &closed)
				a.Exchange(0, 6*mib)
				a.In.Begin()
				a.In.Moved(test.bytes)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				go func() {
					for ctx.Err() == nil {
						time.Sleep(test.every)
						a.In.Moved(test.bytes)
					}
				}()
				_ = b.Open(address(0), nil).Acquire(ctx, 5*mib)
				if (len(closed) > 0) != test.closed {
					t.Errorf("closed: %v", closed)
				}
				cancel()
				time.Sleep(test.every) // the client ends
			})
		})
	}
}

func TestWhatWasAnnouncedAndNotSentIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(17 * mib)
		var closed []int
		announcer := hostile(b, 0, &closed)
		if err := announcer.Reserve(t.Context(), 5*mib); err != nil {
			t.Fatal(err)
		}
		if err := announcer.Fill(t.Context(), mib); err != nil {
			t.Fatal(err)
		}
		announcer.In.Begin()
		began := time.Now()
		other := open(b, 0, 1)[0]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := other.Acquire(ctx, 9*mib); err != nil || len(closed) > 0 {
			t.Fatalf("%v; closed %v", err, closed)
		}
		if d := time.Since(began); d > takeBackAfter+2*tick {
			t.Errorf("waited %v", d)
		}
		if announcer.used != mib {
			t.Errorf("the announcer holds %d bytes of the %d that it has filled", announcer.used, mib)
		}
		// It goes on when there is room again.
		filled := make(chan error, 1)
		go func() { filled <- announcer.Fill(t.Context(), 4*mib) }()
		if granted(filled) {
			t.Error("what was taken back was there all the same")
		}
		other.Release(9 * mib)
		if !granted(filled) || announcer.used != 5*mib {
			t.Errorf("the announcer holds %d bytes after the rest has come", announcer.used)
		}
		announcer.Unreserve()
		announcer.Release(5 * mib)
		if u := b.Usage(); u.Used != 0 {
			t.Errorf("%d bytes are left", u.Used)
		}
	})
}

func TestMoreThanTheLimitClosesWhoWaitsForItsClientLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(16 * mib)
		var closed []int
		hold := func(host int, n int64, stalled bool) *Account {
			a := hostile(b, host, &closed)
			a.Exchange(0, n)
			if stalled {
				a.Out.Begin()
			}
			time.Sleep(time.Millisecond)
			return a
		}
		hold(0, 4*mib, false)
		hold(0, 4*mib, true)
		late := hold(0, 4*mib, true)
		hold(1, 3*mib, true)
		if len(closed) > 0 {
			t.Fatalf("closed below the limit: %v", closed)
		}
		if late.Exchange(0, 2*mib) {
			t.Error("an account fits that holds more than the limit")
		}
		if len(closed) != 1 || closed[0] != 0 || late.evicted {
			t.Errorf("closed %v; the one that had waited less is closed: %v", closed, late.evicted)
		}
	})
}

func TestAWaitEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(16 * mib)
		open(b, 0, 1)[0].Exchange(0, 16*mib)
		a := open(b, 1, 1)[0]
		waits := make(chan error, 1)
		go func() { waits <- a.Acquire(t.Context(), mib) }()
		synctest.Wait()
		a.Evict()
		if err := <-waits; !errors.Is(err, ErrEvicted) {
			t.Errorf("the wait ended with %v", err)
		}
		if err := a.Acquire(t.Context(), 1); !errors.Is(err, ErrEvicted) {
			t.Errorf("another one: %v", err)
		}
		if u := b.Usage(); u.Used != 16*mib || u.Waiting != 0 {
			t.Errorf("%+v", u)
		}
	})
}

// TestRandomHistoriesKeepTheSums lets many accounts do what they may at random,
// and compares what is held with a model that adds up.
func TestRandomHistoriesKeepTheSums(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			b := New(64 * mib)
			type client struct {
				a         *Account
				held      int64
				announced int64
			}
			var clients []*client
			for i := range 20 {
				clients = append(clients, &client{
					a: b.Open(address(i%4), func() { t.Errorf("seed %d: evicted without a stall", seed) }),
				})
			}
			for range 500 {
				c := clients[r.IntN(len(clients))]
				n := int64(r.IntN(4*mib) + 1)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				switch r.IntN(6) {
				case 0:
					if c.a.Try(n) {
						c.held += n
					}
				case 1:
					if c.a.Acquire(ctx, n) == nil {
						c.held += n
					}
				case 2:
					if c.announced == 0 && c.a.TryReserve(n) {
						c.announced = n
					}
				case 3:
					if n = min(n, c.announced); n > 0 && c.a.Fill(ctx, n) == nil {
						c.held, c.announced = c.held+n, c.announced-n
					}
				case 4:
					c.a.Unreserve()
					c.announced = 0
				case 5:
					if n = min(n, c.held); n > 0 {
						c.a.Release(n)
						c.held -= n
					}
				}
				cancel()
				var sum int64
				for _, c := range clients {
					sum += c.held + c.announced
				}
				if u := b.Usage(); u.Used != sum || sum > 64*mib || u.Waiting != 0 {
					t.Fatalf("seed %d: %+v, but the model has %d", seed, u, sum)
				}
			}
			for _, c := range clients {
				c.a.Unreserve()
				c.a.Release(c.held)
				c.a.Close()
			}
			if b.used != 0 || len(b.hosts) != 0 || len(b.waiting) != 0 {
				t.Errorf("seed %d: %d bytes, %d hosts, %d waiting hosts are left", seed, b.used, len(b.hosts), len(b.waiting))
			}
		})
	}
}

func BenchmarkAcquireAndRelease(b *testing.B) {
	a := New(256*mib).Open(address(1), nil)
	for b.Loop() {
		if !a.Try(12 << 10) {
			b.Fatal("no room")
		}
		a.Exchange(12<<10, 200)
		a.Release(200)
	}
}
