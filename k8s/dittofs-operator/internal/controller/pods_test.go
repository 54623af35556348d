package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/probe"
	"github.com/dittofs/dittofs/pkg/health"
)

// fleet plays the admin ports of all pods: one HTTP server that answers by the
// address that was asked for.
type fleet struct {
	server *httptest.Server

	mu      sync.Mutex
	reports map[string]health.Report // by address and port; others hang up
	asked   map[string]int
	given   int
}

var fakePods = newFleet()

func newFleet() *fleet {
	f := &fleet{reports: map[string]health.Report{}, asked: map[string]int{}}
	f.server = httptest.NewServer(http.HandlerFunc(f.answer))
	return f
}

func (f *fleet) transport() http.RoundTripper {
	t := probe.Transport()
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, f.server.Listener.Addr().String())
	}
	return t
}

func (f *fleet) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[r.Host]++
	report, ok := f.reports[r.Host]
	if !ok || r.URL.Path != "/readyz" || r.URL.Query().Get("format") != "json" {
		panic(http.ErrAbortHandler) // hangs up
	}
	if !report.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(report)
}

func (f *fleet) timesAsked(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[address]
}

// report is what a pod says from now on of its metadata and content: a reason
// for each, or empty.
func (f *fleet) report(address string, phase health.Phase, metadata, content string) {
	check := func(name, reason string) health.Check {
		if reason == "" {
			return health.Check{Name: name, OK: true}
		}
		return health.Check{Name: name, Reason: reason, Message: "no way to the " + name}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports[address] = health.Report{Ready: phase == health.Serving && metadata+content == "", Phase: phase,
		Checks: []health.Check{check(health.Metadata, metadata), check(health.Content, content)}}
}

// backup is what a pod says of its backups from now on, until its next report.
func (f *fleet) backup(address string, b health.Backup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.reports[address]
	r.Backup = &b
	f.reports[address] = r
}

// silence makes a pod answer nothing.
func (f *fleet) silence(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.reports, address)
}

// join gives a pod an address of its own, and returns where it is asked.
func (f *fleet) join(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	f.mu.Lock()
	f.given++
	ip := fmt.Sprintf("10.99.0.%d", f.given)
	f.mu.Unlock()
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		t.Fatal(err)
	}
	pod.Status.PodIP, pod.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	if err := api.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return ip + ":8080"
}
