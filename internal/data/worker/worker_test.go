package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestASignalIsNotLostAndNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSignal()
		s.Send()
		s.Send()
		begun := time.Now()
		if !s.Sleep(t.Context(), time.Hour) || time.Since(begun) != 0 {
			t.Errorf("a signal that was sent before: slept %v", time.Since(begun))
		}
		if !s.Sleep(t.Context(), time.Hour) || time.Since(begun) != time.Hour {
			t.Errorf("without a signal: slept %v", time.Since(begun))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Send()
		if s.Sleep(ctx, 0) {
			t.Error("an end goes before a signal")
		}
	})
}

func TestTasksEndTogetherAndNoneBeginsAfterThat(t *testing.T) {
	tasks := NewTasks()
	ended := 0
	tasks.Go(func(ctx context.Context) {
		<-ctx.Done()
		ended++
	})
	tasks.Close()
	if ended != 1 {
		t.Error("Close did not wait")
	}
	if tasks.Go(func(context.Context) { t.Error("begun after the end") }) {
		t.Error("taken after the end")
	}
	tasks.Close()
}

func TestAFailureIsTheFirstErrorAndReportedOnce(t *testing.T) {
	var told []error
	f := NewFailure(func(err error) { told = append(told, err) })
	if f.Err() != nil {
		t.Fatal(f.Err())
	}
	first := errors.New("first")
	f.Fail(first)
	f.Fail(errors.New("second"))
	<-f.Failed()
	if f.Err() != first || len(told) != 1 || told[0] != first {
		t.Errorf("%v, told %v", f.Err(), told)
	}
}

func TestTroubleIsToldAgainWhenItIsAnother(t *testing.T) {
	var trouble Trouble
	of := func(segment int, err error) error { return fmt.Errorf("segment %d: %w", segment, err) }
	disk := &fs.PathError{Op: "write", Path: "/a", Err: syscall.EIO}
	for i, c := range []struct {
		err  error
		news bool
	}{
		{of(1, errors.New("refused")), true}, {of(2, errors.New("refused")), false},
		{of(2, disk), true}, {of(3, &fs.PathError{Op: "read", Path: "/b", Err: syscall.EIO}), false},
		{of(3, errors.New("refused")), true},
	} {
		if trouble.Began(c.err) != c.news {
			t.Errorf("%d: %v is news: %v", i, c.err, !c.news)
		}
	}
	if !trouble.Ended() || trouble.Ended() || !trouble.Began(disk) {
		t.Error("an end is told once, and then all is news")
	}
}
