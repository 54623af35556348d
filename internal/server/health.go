package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/pkg/health"
)

// state is what the probes answer. A server is healthy until it has to be
// restarted, and ready while it serves and its stores can be used.
type state struct {
	version string

	mu      sync.Mutex
	phase   health.Phase
	failure error
	checks  []health.Check
	backup  func() *health.Backup // nil: not known yet

	instance    string // of the stores, once they are open
	configHash  string // of the last file that is in effect as a whole
	configFault string // why a later one is not
}

func newState(version string) *state {
	return &state{version: version, phase: health.Starting, checks: []health.Check{
		{Name: health.Metadata, OK: true}, {Name: health.Content, OK: true},
	}}
}

// fail ends the server's health for good; the first cause is kept.
func (s *state) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure, s.phase = err, health.Failed
	}
}

func (s *state) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// enter goes on to the next phase of a server that has not failed.
func (s *state) enter(phase health.Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.phase = phase
	}
}

// set notes the state of a store, nil being well, and says whether its reason
// is another one than before.
func (s *state) set(store string, f *fault.Error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := health.Check{Name: store, OK: f == nil}
	if f != nil {
		next.Reason, next.Message = f.Reason, f.Message
	}
	was := health.Check{Name: store, OK: true}
	i := slices.IndexFunc(s.checks, func(c health.Check) bool { return c.Name == store })
	if i >= 0 {
		was = s.checks[i]
	}
	switch {
	case store == health.Cache && next.OK: // it is shown only while it is at fault
		s.checks = slices.DeleteFunc(s.checks, func(c health.Check) bool { return c.Name == store })
	case i >= 0:
		s.checks[i] = next
	default:
		s.checks = append(s.checks, next)
	}
	return was.Reason != next.Reason
}

// showBackups makes reports say what backup returns.
func (s *state) showBackups(backup func() *health.Backup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backup = backup
}

// identify makes reports name the filesystem.
func (s *state) identify(instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instance = instance
}

// applied notes that a configuration file is in effect as a whole.
func (s *state) applied(hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configHash, s.configFault = hash, ""
}

// notApplied notes why a later configuration file is not.
func (s *state) notApplied(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configFault = why
}

// report is the state, with readiness as if the excluded checks were well.
func (s *state) report(exclude []string) health.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := health.Report{
		Phase: s.phase, Version: s.version, Checks: slices.Clone(s.checks), Ready: s.phase == health.Serving,
		Instance: s.instance, ConfigHash: s.configHash, ConfigFault: s.configFault,
	}
	if s.backup != nil {
		r.Backup = s.backup()
	}
	for _, c := range r.Checks {
		if !c.OK && !slices.Contains(exclude, c.Name) {
			r.Ready = false
		}
	}
	return r
}

func (s *state) serveHealth(w http.ResponseWriter, _ *http.Request) {
	if err := s.err(); err != nil {
		respond(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	respond(w, http.StatusOK, "ok")
}

// serveReady answers a line for the phase and one for each store at fault, or
// the whole report with ?format=json. ?exclude=NAME leaves a check out of the
// verdict, as the API server of Kubernetes does.
func (s *state) serveReady(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	report := s.report(query["exclude"])
	code := http.StatusServiceUnavailable
	if report.Ready {
		code = http.StatusOK
	}
	if query.Get("format") == "json" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(report) // the client is gone
		return
	}
	text := "ok"
	switch err := s.err(); {
	case err != nil:
		text = err.Error()
	case report.Phase != health.Serving:
		text = string(report.Phase)
	case !report.Ready:
		text = "serving without a store"
	}
	for _, c := range report.Checks {
		if !c.OK {
			text += fmt.Sprintf("\n%s: %s: %s", c.Name, c.Reason, c.Message)
		}
	}
	respond(w, code, text)
}

func respond(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
