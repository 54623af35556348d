package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dittofs/dittofs/internal/content"
	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/test/faultproxy"
)

// hasty gives up on a silent server soon.
var hasty = pace{
	tries: 8, patience: 20 * time.Second, idle: 300 * time.Millisecond, minRate: 1 << 20,
	base: time.Millisecond, most: 20 * time.Millisecond,
}

// everyOperation calls each method once, with objects small and in parts.
func everyOperation(t *testing.T, s *Store) {
	t.Helper()
	small, large := pattern(1, 100_000), pattern(2, 2*minPartSize+7)
	mustPut(t, s, "segments/1", small)
	mustPut(t, s, "segments/2", large)
	expect(t, s, "segments/1", small)
	expect(t, s, "segments/2", large)
	var listed []string
	if err := s.List(t.Context(), "", func(id string, size int64) error {
		listed = append(listed, fmt.Sprint(id, " ", size))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"segments/1 100000", fmt.Sprint("segments/2 ", len(large))}; !slices.Equal(listed, want) {
		t.Errorf("listed %q, want %q", listed, want)
	}
	if err := s.Delete(t.Context(), "segments/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Size(t.Context(), "segments/1"); !errors.Is(err, content.ErrNotFound) {
		t.Errorf("size of a deleted object: %v", err)
	}
	if err := s.Claim(t.Context(), instanceOne); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestEveryOperationSurvivesEveryFault(t *testing.T) {
	for _, kind := range append(slices.Clone(faultproxy.Kinds), faultproxy.Hang, faultproxy.LostAnswer) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.proxied(t)
			var script []faultproxy.Rule
			for _, op := range operations {
				script = append(script, faultproxy.Rule{Kind: kind, Match: faultproxy.Op(op), Times: 2})
			}
			p.Set(script...)
			s := openStore(t, w.opts, hasty)
			everyOperation(t, s)
			for _, op := range operations {
				if n := p.Counts()[op].Faults[kind]; n != 2 && op != opAbort {
					t.Errorf("%s met %d faults", op, n)
				}
			}
			if stats := s.Stats(); stats.Retries < 10 || stats.Errors < stats.Retries || stats.InFlight != 0 {
				t.Errorf("stats: %+v", stats)
			}
			noUploads(t, w)
		})
	}
}

// noUploads checks that no parts were left behind. An upload whose making was
// acknowledged to nobody stays: it has no parts.
func noUploads(t *testing.T, w *world) {
	t.Helper()
	s := w.direct(t)
	for _, u := range w.unfinished(t) {
		parts, err := s.client.ListParts(t.Context(), &s3.ListPartsInput{
			Bucket: s.bucket(), Key: u.Key, UploadId: u.UploadId,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(parts.Parts) > 0 {
			t.Errorf("an upload of %s was left with %d parts", *u.Key, len(parts.Parts))
		}
	}
}

func TestAPutWhoseAnswerWasLostSucceeds(t *testing.T) {
	for name, c := range map[string]struct {
		op   string
		size int
		kind faultproxy.Kind
	}{
		"whole, reset":       {opPut, 200_000, faultproxy.ResetAfter},
		"whole, no answer":   {opPut, 200_000, faultproxy.LostAnswer},
		"whole, empty":       {opPut, 0, faultproxy.ResetAfter},
		"in parts, reset":    {opComplete, minPartSize + 1, faultproxy.ResetAfter},
		"in parts, cut":      {opComplete, minPartSize + 1, faultproxy.Truncate},
		"in parts, lost":     {opComplete, minPartSize + 1, faultproxy.LostAnswer},
		"a part, reset":      {opPart, minPartSize + 1, faultproxy.ResetAfter},
		"beginning, reset":   {opCreate, minPartSize + 1, faultproxy.ResetAfter},
		"whole, then others": {opPut, 1000, faultproxy.ResetAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.proxied(t)
			s := openStore(t, w.opts, hasty)
			p.Set(faultproxy.Rule{Kind: c.kind, Match: faultproxy.Op(c.op), Times: 1})
			data := pattern(3, c.size)
			mustPut(t, s, "a", data)
			if n := p.Faults()[c.kind]; n != 1 {
				t.Fatalf("%d faults", n)
			}
			expect(t, s, "a", data)
			other := append(bytes.Clone(data), 1)
			if err := put(t.Context(), s, "a", other); !errors.Is(err, content.ErrExists) {
				t.Errorf("put of another content: %v", err)
			}
			expect(t, s, "a", data)
			noUploads(t, w)
		})
	}
}

func TestALostAnswerDoesNotHideThatAnotherWroteFirst(t *testing.T) {
	for _, size := range []int{1000, minPartSize + 1} {
		w := newWorld(t)
		direct := w.store(t)
		p := w.proxied(t)
		s := openStore(t, w.opts, hasty)
		theirs, ours := pattern(1, size), pattern(2, size)
		p.Set(faultproxy.Rule{Kind: faultproxy.ResetAfter, Times: 3})
		mustPut(t, direct, "a", theirs)
		if err := put(t.Context(), s, "a", ours); !errors.Is(err, content.ErrExists) {
			t.Errorf("%d bytes: %v", size, err)
		}
		expect(t, s, "a", theirs)
		noUploads(t, w)
	}
}

// A service that refuses before it has read the bytes may break the connection
// off, each time: what it has says why.
func TestARefusalThatNobodyCouldReadIsFound(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	s := openStore(t, w.opts, hasty)
	data := pattern(1, 100_000)
	mustPut(t, s, "a", data)
	p.Set(faultproxy.Rule{Kind: faultproxy.ResetBefore, Match: faultproxy.Op(opPut)})
	if err := put(t.Context(), s, "a", data[1:]); !errors.Is(err, content.ErrExists) {
		t.Errorf("put of another content: %v", err)
	}
	if err := put(t.Context(), s, "a", data); err != nil {
		t.Errorf("put of the same: %v", err)
	}
	if err := put(t.Context(), s, "b", data); fault.Of(err) == nil || fault.Of(err).Reason != fault.Unreachable {
		t.Errorf("put of what is not there: %v", err)
	}
	if p.Faults()[faultproxy.ResetBefore] == 0 {
		t.Error("no connection was reset")
	}
}

// TestTheSuccessOfARepeatedCompletionIsNotBelieved has the answer of a service
// that still works on the first request, as versitygw 1.8 gives it.
func TestTheSuccessOfARepeatedCompletionIsNotBelieved(t *testing.T) {
	ours, theirs := pattern(1, minPartSize+1), pattern(2, minPartSize+1)
	success := faultproxy.Answer{
		Status: 200, ContentType: "application/xml",
		Body: `<CompleteMultipartUploadResult><ETag>"claimed"</ETag></CompleteMultipartUploadResult>`,
	}
	script := []faultproxy.Rule{
		{Kind: faultproxy.Status500, Match: faultproxy.Op(opComplete), Times: 1},
		{Kind: faultproxy.Replace, Match: faultproxy.Op(opComplete), Times: 1, Answer: success},
	}
	w := newWorld(t)
	direct := w.store(t)
	p := w.proxied(t)
	s := w.store(t)
	p.Set(script...)
	mustPut(t, s, "a", ours)
	expect(t, direct, "a", ours)
	mustPut(t, direct, "b", theirs)
	p.Set(script...)
	if err := put(t.Context(), s, "b", ours); !errors.Is(err, content.ErrExists) {
		t.Errorf("put of another content: %v", err)
	}
	expect(t, direct, "b", theirs)
	for range rounds {
		script = append(script, script[:2]...)
	}
	p.Set(script...)
	expectFault(t, put(t.Context(), s, "c", ours), fault.StoreFailing, fmt.Sprintf(
		"content.endpoint: %s says again and again that an object exists which it then does not find: look at the service", p.URL()))
}

func TestOfConcurrentUploadsInPartsOneWins(t *testing.T) {
	w := newWorld(t)
	const writers = 4
	var wg sync.WaitGroup
	var errs [writers]error
	for i := range writers {
		s := w.store(t)
		wg.Go(func() { errs[i] = put(t.Context(), s, "a", pattern(uint64(i), minPartSize+i)) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case !errors.Is(err, content.ErrExists):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	expect(t, w.store(t), "a", pattern(uint64(winner), minPartSize+winner))
	noUploads(t, w)
}

func TestACancelledUploadIsAborted(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	p.Set(faultproxy.Rule{Kind: faultproxy.Hang, Match: faultproxy.Op(opPart), Skip: 1})
	s := w.store(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- put(ctx, s, "a", make([]byte, 3*minPartSize)) }()
	for end := time.Now().Add(time.Minute); p.Faults()[faultproxy.Hang] == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no part was sent that hangs")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	noUploads(t, w)
	if n := p.Counts()[opAbort].Requests; n != 1 {
		t.Errorf("%d aborts", n)
	}
}

func TestABodyThatIsCutShortIsReadOn(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	s := w.store(t)
	data := pattern(1, 4<<20)
	mustPut(t, s, "a", data)
	p.Reset()
	// More than the number of tries, each bringing a half of the rest.
	p.Set(faultproxy.Rule{Kind: faultproxy.Truncate, Match: faultproxy.Op(opGet), Times: 12})
	got := make([]byte, len(data))
	if n, err := s.ReadAt(t.Context(), "a", got, 0); err != nil || n != len(got) || !bytes.Equal(got, data) {
		t.Fatalf("read %d: %v", n, err)
	}
	if c := p.Counts()[opGet]; c.Requests != 13 || c.Received > int64(len(data))*11/10 {
		t.Errorf("%d requests for %d bytes", c.Requests, c.Received)
	}
}

func TestASlowServerIsWaitedForWhileItIsSteady(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	steady := hasty
	steady.idle, steady.minRate = 2*time.Second, 32<<10
	s := openStore(t, w.opts, steady)
	data := pattern(1, 384<<10)
	p.Set(faultproxy.Rule{Kind: faultproxy.Slow, Rate: 128 << 10}) // 3 s, beyond the idle time
	mustPut(t, s, "a", data)
	expect(t, s, "a", data)
	if n := s.Stats().Retries; n != 0 {
		t.Errorf("%d retries", n)
	}
	p.Set(faultproxy.Rule{Kind: faultproxy.Slow, Rate: 10 << 10}) // bytes trickle, below the rate
	s.pace.patience = 0
	_, err := s.ReadAt(t.Context(), "a", make([]byte, len(data)), 0)
	expectFault(t, err, fault.Unreachable, fmt.Sprintf(
		"content.endpoint: %s cannot be reached: bytes arrive too slowly: start the service, or correct content.endpoint", p.URL()))
}

func TestAFailingSourceIsNotRetried(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	s := w.store(t)
	broken := errors.New("disk is broken")
	for _, good := range []int64{0, 1, 2} { // reads of the whole source that succeed
		r := &flaky{data: pattern(1, 1000), good: good, err: broken}
		if err := s.Put(t.Context(), "a", r, 1000); !errors.Is(err, broken) || fault.Of(err) != nil {
			t.Errorf("after %d reads: %v", good, err)
		}
	}
	if n := s.Stats().Retries; n != 0 || p.Counts()[opPut].Requests > 2 {
		t.Errorf("%d retries", n)
	}
}

// flaky fails after it was read to the end so often.
type flaky struct {
	data []byte
	good int64
	err  error
	mu   sync.Mutex
}

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.good <= 0 {
		return 0, f.err
	}
	n, err := bytes.NewReader(f.data).ReadAt(p, off)
	if off+int64(n) == int64(len(f.data)) && n > 0 {
		f.good--
	}
	if errors.Is(err, io.EOF) && n > 0 {
		err = nil
	}
	return n, err
}

func TestTransfersInFlightAreBounded(t *testing.T) {
	w := newWorld(t)
	p := w.proxied(t)
	w.opts.Parallel = 2
	s := w.store(t)
	data := pattern(1, 4*minPartSize)
	mustPut(t, s, "a", data[:1000])
	p.SetLatency(20 * time.Millisecond)
	var most int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				most = max(most, s.Stats().InFlight)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := s.ReadAt(t.Context(), "a", make([]byte, 1000), 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustPut(t, s, "b", data)
	close(stop)
	<-stopped
	if most != 2 {
		t.Errorf("%d in flight, want 2", most)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s.downloads <- struct{}{}
	s.downloads <- struct{}{}
	if _, err := s.ReadAt(ctx, "a", make([]byte, 1), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a slot: %v", err)
	}
}
