package controller_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	"github.com/dittofs/dittofs/pkg/config"
	"github.com/dittofs/dittofs/pkg/health"
)

// fleet plays the admin ports of all pods: one HTTP server that answers by the
// address that was asked for.
type fleet struct {
	server *httptest.Server

	mu      sync.Mutex
	reports map[string]health.Report // by address and port; others hang up
	pods    map[string]string        // the namespace of the pod at an address
	stuck   map[string]string        // the configuration that a pod says to have; else that of its ConfigMap
	asked   map[string]int
	given   int
}

var fakePods = newFleet()

func newFleet() *fleet {
	f := &fleet{
		reports: map[string]health.Report{}, pods: map[string]string{}, stuck: map[string]string{}, asked: map[string]int{},
	}
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
	report.ConfigHash = f.stuck[r.Host]
	if report.ConfigHash == "" {
		report.ConfigHash = mounted(r.Context(), f.pods[r.Host])
	}
	if !report.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(report)
}

// mounted is the configuration of a pod whose kubelet has looked.
func mounted(ctx context.Context, namespace string) string {
	var m corev1.ConfigMap
	if api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "nas-config"}, &m) != nil {
		return ""
	}
	return config.FileHash([]byte(m.Data["config.yaml"]))
}

// filesystemOf is the name of the filesystem of the server in a namespace.
func filesystemOf(namespace string) string {
	sum := sha256.Sum256([]byte(namespace))
	return hex.EncodeToString(sum[:16])
}

// instance is the filesystem that a pod says to serve from now on.
func (f *fleet) instance(address, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.reports[address]
	r.Instance = name
	f.reports[address] = r
}

// configuration is what a pod says to have in effect from now on; empty for what
// is in its ConfigMap.
func (f *fleet) configuration(address, hash string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stuck[address] = hash
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
		Instance: filesystemOf(f.pods[address]),
		Checks:   []health.Check{check(health.Metadata, metadata), check(health.Content, content)}}
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
	address := ip + ":8080"
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pods[address] = pod.Namespace
	return address
}

// serve gives a pod an address, at which it says that it serves.
func (f *fleet) serve(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	f.report(f.join(t, pod), health.Serving, "", "")
}
