package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/sunrpc"
)

// metrics are the server's Prometheus metrics. It is the RPC server's
// Observer: each procedure's counters are resolved once, so that counting a
// call costs a few atomic additions.
type metrics struct {
	registry    *prometheus.Registry
	calls       *prometheus.Registry // of operations and bytes alone
	operations  *prometheus.CounterVec
	latency     *prometheus.HistogramVec
	bytes       *prometheus.CounterVec
	connections prometheus.Gauge
	evicted     *prometheus.CounterVec
	statusName  map[programVersion]func(uint32) string
}

// programVersion is what gives a call's status its meaning.
type programVersion struct {
	program string
	version uint32
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), calls: prometheus.NewRegistry(),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dittofs_operations_total",
			Help: "Calls served, by procedure and status.",
		}, []string{"program", "version", "procedure", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "dittofs_operation_duration_seconds",
			Help:    "Time from a call's arrival to its reply.",
			Buckets: prometheus.ExponentialBuckets(25e-6, 4, 11), // 25 us to 26 s
		}, []string{"program", "version", "procedure"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dittofs_bytes_total",
			Help: "Bytes of calls and replies, record marks not counted.",
		}, []string{"program", "version", "procedure", "direction"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dittofs_connections", Help: "Open client connections.",
		}),
		evicted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dittofs_connections_evicted_total",
			Help: "Client connections closed for the sake of other clients, by what was short: connections, or bytes.",
		}, []string{"limit"}),
		statusName: map[programVersion]func(uint32) string{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dittofs_build_info", Help: "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.calls.MustRegister(m.operations, m.bytes)
	m.registry.MustRegister(m.operations, m.latency, m.bytes, m.connections, m.evicted, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// gauge registers a value that is read when the metrics are asked for.
func (m *metrics) gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// counter registers a growing value that is read when the metrics are asked for.
func (m *metrics) counter(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

// log shows what is missing in the log.
func (m *metrics) log(counts func() logging.Counts) {
	m.counter("dittofs_log_left_out_lines_total", "Lines of the log that were left out because they were repeated.",
		func() float64 { return float64(counts().LeftOut) })
	m.counter("dittofs_log_dropped_lines_total",
		"Lines of the log that were dropped because it was not read, or could not be written.",
		func() float64 { return float64(counts().Dropped) })
}

// Connections implements sunrpc.Observer.
func (m *metrics) Connections(delta int) { m.connections.Add(float64(delta)) }

// Evicted implements sunrpc.Observer.
func (m *metrics) Evicted(why sunrpc.Eviction) { m.evicted.WithLabelValues(string(why)).Inc() }

// Procedure implements sunrpc.Observer.
func (m *metrics) Procedure(program string, version uint32, proc string) sunrpc.Recorder {
	name, v := m.statusName[programVersion{program, version}], strconv.FormatUint(uint64(version), 10)
	if name == nil {
		name = func(uint32) string { return "OK" }
	}
	return &procedure{
		latency: m.latency.WithLabelValues(program, v, proc),
		in:      m.bytes.WithLabelValues(program, v, proc, "in"),
		out:     m.bytes.WithLabelValues(program, v, proc, "out"),
		ok:      m.operations.WithLabelValues(program, v, proc, name(0)),
		failed: func(status string) prometheus.Counter {
			return m.operations.WithLabelValues(program, v, proc, status)
		},
		statusName: name,
	}
}

// procedure records the calls of one procedure.
type procedure struct {
	latency    prometheus.Observer
	in, out    prometheus.Counter
	ok         prometheus.Counter
	failed     func(status string) prometheus.Counter
	statusName func(uint32) string
}

// Call implements sunrpc.Recorder.
func (p *procedure) Call(accept sunrpc.AcceptStat, status uint32, d time.Duration, in, out int) {
	switch {
	case accept != sunrpc.Success:
		p.failed(rpcStatus(accept)).Inc()
	case status == 0:
		p.ok.Inc()
	default:
		p.failed(p.statusName(status)).Inc()
	}
	p.latency.Observe(d.Seconds())
	p.in.Add(float64(in))
	p.out.Add(float64(out))
}

func rpcStatus(s sunrpc.AcceptStat) string {
	switch s {
	case sunrpc.GarbageArgs:
		return "RPC_GARBAGE_ARGS"
	case sunrpc.ProcUnavail:
		return "RPC_PROC_UNAVAIL"
	}
	return "RPC_SYSTEM_ERR"
}
