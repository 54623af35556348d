package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/dittofs/dittofs/pkg/health"
)

// podAt is a pod whose requests reach handler.
func podAt(t *testing.T, handler http.HandlerFunc) (*Prober, *corev1.Pod, *clocktesting.FakePassiveClock) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := Transport()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "10.1.2.3:8080" {
			t.Errorf("asked %s", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	now := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "nas-0", UID: "u"}, Status: corev1.PodStatus{PodIP: "10.1.2.3"}}
	return New(transport, now), pod, now
}

func TestReportIsReadWhetherReadyOrNot(t *testing.T) {
	status := http.StatusOK
	p, pod, _ := podAt(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/readyz?format=json" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"ready":false,"phase":"starting","checks":[{"name":"metadata","ok":false,"reason":"Unreachable","message":"no route"}]}`))
	})
	for _, status = range []int{http.StatusOK, http.StatusServiceUnavailable} {
		report, err := p.Report(t.Context(), pod)
		if err != nil {
			t.Fatal(err)
		}
		if check := report.Find(health.Metadata); report.Phase != health.Starting || check == nil ||
			check.Reason != "Unreachable" {
			t.Errorf("the report is %+v", report)
		}
	}
}

func TestLastAnswerCountsForAMoment(t *testing.T) {
	var broken atomic.Bool
	p, pod, now := podAt(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(`{"ready":true,"phase":"serving","checks":[]}`))
	})
	if _, err := p.Report(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	now.SetTime(now.Now().Add(keep))
	if report, err := p.Report(t.Context(), pod); err != nil || !report.Ready {
		t.Errorf("a moment later: %+v, %v", report, err)
	}
	other := pod.DeepCopy()
	other.UID = "another"
	if report, err := p.Report(t.Context(), other); err == nil {
		t.Errorf("another pod has the report %+v", report)
	}
	now.SetTime(now.Now().Add(time.Second))
	if report, err := p.Report(t.Context(), pod); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("later: %+v, %v", report, err)
	}
}

func TestWhatIsNoReportIsAnError(t *testing.T) {
	const good = `{"ready":true,"phase":"serving","checks":[]}`
	for name, handler := range map[string]http.HandlerFunc{
		"text": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) },
		// To a report, so that it is an error only if nobody goes there.
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				_, _ = w.Write([]byte(good))
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(" ", 2*maxReport) + good))
		},
	} {
		p, pod, _ := podAt(t, handler)
		if report, err := p.Report(t.Context(), pod); err == nil {
			t.Errorf("%s: the report is %+v", name, report)
		}
	}
	p, pod, _ := podAt(t, nil)
	pod.Status.PodIP = ""
	if _, err := p.Report(t.Context(), pod); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("without an address: %v", err)
	}
}
