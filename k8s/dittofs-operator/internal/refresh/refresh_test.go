package refresh

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestAKubeletIsToldAtOnceAndThenLessAndLessOften(t *testing.T) {
	now := time.Unix(0, 0)
	clock := clocktesting.NewFakePassiveClock(now)
	k := &Kubelets{Clock: clock}
	var at []time.Duration
	for range 400 {
		if _, due := k.due("pod", "hash"); due {
			at = append(at, clock.Now().Sub(now))
		}
		clock.SetTime(clock.Now().Add(500 * time.Millisecond))
	}
	want := []time.Duration{0, 2, 6, 14, 30, 62, 122, 182}
	if len(at) != len(want) {
		t.Fatalf("told at %v", at)
	}
	for i := range want {
		if at[i] != want[i]*time.Second {
			t.Fatalf("told at %v, not at %v seconds", at, want)
		}
	}
	if times, due := k.due("pod", "another"); !due || times != 1 {
		t.Errorf("another configuration: %d, %v", times, due)
	}
	clock.SetTime(clock.Now().Add(time.Hour))
	k.due("other", "hash")
	if len(k.told) != 1 {
		t.Errorf("pods that are gone are remembered: %v", k.told)
	}
}
