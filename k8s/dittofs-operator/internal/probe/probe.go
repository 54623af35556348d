// Package probe asks a server's pod which of its stores it can use. The
// kubelet's probes say only whether a pod is ready; the report behind them says
// what is wrong, and that is what the conditions of a DittoServer tell.
package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
	"github.com/dittofs/dittofs/pkg/health"
)

const (
	// timeout of a question. A server answers from memory.
	timeout = 2 * time.Second
	// keep is how long an answer stands in for one that did not come, so that a
	// busy moment of a server is not taken for a change.
	keep = 5 * time.Second
	// maxReport bounds an answer, in bytes.
	maxReport = 64 << 10
)

// Prober asks pods. It is safe for concurrent use.
type Prober struct {
	http  *http.Client
	clock clock.PassiveClock

	mu   sync.Mutex
	last map[types.UID]answer // by pod; none is older than keep by much
}

type answer struct {
	report *health.Report
	at     time.Time
}

// Transport is the way to pods: directly, and without a connection that stays.
func Transport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: timeout}).DialContext}
}

// New makes a Prober.
func New(transport http.RoundTripper, clock clock.PassiveClock) *Prober {
	return &Prober{
		http: &http.Client{
			Transport:     transport,
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		clock: clock,
		last:  map[types.UID]answer{},
	}
}

// Report asks a pod. If it does not answer now, its last answer counts for a
// few seconds more; then the error says why there is none.
func (p *Prober) Report(ctx context.Context, pod *corev1.Pod) (*health.Report, error) {
	report, err := p.ask(ctx, pod)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	for uid, old := range p.last {
		if now.Sub(old.at) > keep {
			delete(p.last, uid)
		}
	}
	if err == nil {
		p.last[pod.UID] = answer{report, now}
		return report, nil
	}
	if old, ok := p.last[pod.UID]; ok {
		return old.report, nil
	}
	return nil, err
}

func (p *Prober) ask(ctx context.Context, pod *corev1.Pod) (*health.Report, error) {
	if pod.Status.PodIP == "" {
		return nil, errors.New("it has no address yet")
	}
	address := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(names.AdminPort)))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz?format=json", nil)
	if err != nil {
		return nil, err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		return nil, fmt.Errorf("it answered %s", response.Status)
	}
	report := &health.Report{}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxReport)).Decode(report); err != nil {
		return nil, fmt.Errorf("its answer is not a report: %w", err)
	}
	return report, nil
}
