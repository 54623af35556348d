package sunrpc

import "testing"

func TestIdleWorkersAreBoundedAndEndWithTheLastConnection(t *testing.T) {
	var w workers
	if w.rest(make(chan job, 1)) {
		t.Fatal("a worker rests although nobody can bring a job")
	}
	w.connections(2)
	ended := make(chan struct{}, maxIdle)
	for range maxIdle {
		jobs := make(chan job, 1)
		if !w.rest(jobs) {
			t.Fatal("a worker may not rest")
		}
		go func() {
			<-jobs
			ended <- struct{}{}
		}()
	}
	if w.rest(make(chan job, 1)) {
		t.Errorf("more than %d workers rest", maxIdle)
	}
	w.connections(-1)
	if n := len(w.idle); n != maxIdle {
		t.Errorf("%d workers rest, not %d: one connection is left", n, maxIdle)
	}
	w.connections(-1)
	for range maxIdle {
		<-ended
	}
}
