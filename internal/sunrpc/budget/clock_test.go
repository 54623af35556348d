package budget

import (
	"testing"
	"time"
	"unsafe"
)

// set is a time as the wall clock shows it after somebody has set it forward or
// back: the monotonic clock, which the value has too, goes on as before.
func set(now time.Time, by time.Duration) time.Time {
	*(*int64)(unsafe.Pointer(&now)) += int64(by/time.Second) << 30 // time.Time.wall: seconds behind 30 bits
	return now
}

func TestAClockThatIsSetChangesNothing(t *testing.T) {
	now := time.Now()
	if d := set(now, time.Hour).Round(0).Sub(now.Round(0)); d != time.Hour {
		t.Fatalf("the test sets the clock by %v", d)
	}
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		var s Stall
		s.Begin()
		late := s.overdue(set(time.Now().Add(patience/2), by))
		if late > 0 || late < -patience {
			t.Errorf("clock set by %v: a client is overdue by %v, half a patience after it was waited for", by, late)
		}
		before, after := turn(0, now), turn(0, set(now.Add(time.Second), by))
		if after-before != age {
			t.Errorf("clock set by %v: a second of waiting weighs %d, want %d", by, after-before, age)
		}
	}
}
