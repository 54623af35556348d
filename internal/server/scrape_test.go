package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func asked(s *shared) string {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return fmt.Sprint(w.Code, " ", w.Header().Get("Content-Type"), " ", w.Body)
}

func TestAnAnswerIsSharedByAllWhoAskedBeforeItBegan(t *testing.T) {
	var begun atomic.Int32
	entered, gate := make(chan struct{}), make(chan struct{})
	s := &shared{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := begun.Add(1)
		entered <- struct{}{}
		<-gate
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, n)
	})}
	var first sync.WaitGroup
	first.Go(func() {
		if got := asked(s); got != "418 text/plain 1" {
			t.Errorf("the first was told %q", got)
		}
	})
	<-entered
	second := s.ask()
	if s.ask() != second {
		t.Error("two who wait are given two answers")
	}
	gate <- struct{}{}
	first.Wait()
	<-entered
	third := s.ask()
	if third == second {
		t.Error("one who asks after an answer began is given it")
	}
	gate <- struct{}{}
	<-second.done
	if got := second.body.String(); got != "2" {
		t.Errorf("those who came while the first answer was made were told %q", got)
	}
	<-entered
	gate <- struct{}{}
	<-third.done
}

func TestAnswersAreNotMadeWithoutAPause(t *testing.T) {
	const period = 50 * time.Millisecond
	var begun []time.Time
	s := &shared{period: period, handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begun = append(begun, time.Now())
	})}
	for range 4 {
		asked(s)
	}
	for i := 1; i < len(begun); i++ {
		if pause := begun[i].Sub(begun[i-1]); pause < period-time.Millisecond {
			t.Errorf("answer %d began %v after the one before", i, pause)
		}
	}
	if len(begun) != 4 {
		t.Errorf("%d answers", len(begun))
	}
}

// Everybody who reads the metrics at the same time is given what was gathered
// once. The first gathering is held up until all have asked.
func TestTheMetricsAreGatheredOnceForAllWhoReadThem(t *testing.T) {
	addr, m := listenAdmin(t)
	var gathered atomic.Int32
	entered, gate := make(chan struct{}, 1), make(chan struct{})
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "test_gathered"}, func() float64 {
		if gathered.Add(1) == 1 {
			entered <- struct{}{}
			<-gate
		}
		return 0
	}))
	const readers = 20
	var done sync.WaitGroup
	read := func() {
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}
	done.Go(read)
	<-entered
	for range readers {
		done.Go(read)
	}
	time.Sleep(200 * time.Millisecond) // all have asked
	close(gate)
	done.Wait()
	if n := gathered.Load(); n > 3 { // one that came late, on a busy machine
		t.Errorf("the metrics were gathered %d times for %d readers", n, readers+1)
	}
	began := time.Now()
	for range 3 {
		read()
	}
	if d := time.Since(began); d < 2*gatherPeriod {
		t.Errorf("one who reads again at once had three answers in %v", d)
	}
}
