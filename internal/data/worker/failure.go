package worker

import "sync/atomic"

// Failure is an error after which nothing goes on. Safe for concurrent use.
type Failure struct {
	err    atomic.Pointer[error]
	failed chan struct{}
	report func(error)
}

// NewFailure returns one that has not happened. report is called once, when it
// has.
func NewFailure(report func(error)) *Failure {
	return &Failure{failed: make(chan struct{}), report: report}
}

// Fail notes the first error.
func (f *Failure) Fail(err error) {
	if !f.err.CompareAndSwap(nil, &err) {
		return
	}
	close(f.failed)
	f.report(err)
}

// Err is the error, or nil.
func (f *Failure) Err() error {
	if p := f.err.Load(); p != nil {
		return *p
	}
	return nil
}

// Failed is closed when Err has an error.
func (f *Failure) Failed() <-chan struct{} { return f.failed }
