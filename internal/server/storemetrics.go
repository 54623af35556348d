package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dittofs/dittofs/internal/content/s3"
	"github.com/dittofs/dittofs/internal/meta/postgres"
)

// registerRemote shows the figures of the stores outside of this process, those
// that there are.
func (s *stores) registerRemote(m *metrics) {
	if store, ok := s.meta.(*postgres.Store); ok {
		registerPostgres(m, store)
	}
	if store, ok := s.content.(*s3.Store); ok {
		m.registry.MustRegister(newS3Collector(store))
	}
}

func registerPostgres(m *metrics, store *postgres.Store) {
	counter := func(name, help string, read func(*postgres.Stats) uint64) {
		m.counter("dittofs_metadata_"+name, help, func() float64 { st := store.Stats(); return float64(read(&st)) })
	}
	gauge := func(name, help string, read func(*postgres.Stats) int) {
		m.gauge("dittofs_metadata_"+name, help, func() float64 { st := store.Stats(); return float64(read(&st)) })
	}
	counter("round_trips_total", "Requests sent to PostgreSQL.",
		func(st *postgres.Stats) uint64 { return st.RoundTrips })
	counter("retries_total", "Requests to PostgreSQL that failed and were sent again.",
		func(st *postgres.Stats) uint64 { return st.Retries })
	counter("connects_total", "Connections made to PostgreSQL.",
		func(st *postgres.Stats) uint64 { return st.Connects })
	gauge("connections_in_use", "Connections to PostgreSQL that wait for an answer, without that of the heart-beat.",
		func(st *postgres.Stats) int { return st.InUse })
	gauge("connections_idle", "Connections to PostgreSQL that are open and not in use.",
		func(st *postgres.Stats) int { return st.Idle })
	gauge("waiting", "1 while requests wait because PostgreSQL cannot be used.",
		func(st *postgres.Stats) int {
			if st.Waiting {
				return 1
			}
			return 0
		})
}

// s3Collector reads the figures once for each scrape.
type s3Collector struct {
	store                                               *s3.Store
	requests, errors, retries, sent, received, inFlight *prometheus.Desc
}

func newS3Collector(store *s3.Store) *s3Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("dittofs_content_"+name, help, labels, nil)
	}
	return &s3Collector{
		store:    store,
		requests: desc("requests_total", "Requests sent to S3, by the name of the operation in its API; every try counts.", "operation"),
		errors:   desc("request_errors_total", "Requests to S3 that failed, whatever came of the next try."),
		retries:  desc("request_retries_total", "Requests to S3 that repeat a failed one."),
		sent:     desc("sent_bytes_total", "Bytes of bodies sent to S3."),
		received: desc("received_bytes_total", "Bytes of bodies received from S3."),
		inFlight: desc("requests_in_flight", "Requests to S3 that wait for their answer."),
	}
}

// Describe implements prometheus.Collector.
func (c *s3Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.requests, c.errors, c.retries, c.sent, c.received, c.inFlight} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *s3Collector) Collect(to chan<- prometheus.Metric) {
	st := c.store.Stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, float64(value), labels...)
	}
	for operation, n := range st.Requests {
		send(c.requests, prometheus.CounterValue, n, operation)
	}
	send(c.errors, prometheus.CounterValue, st.Errors)
	send(c.retries, prometheus.CounterValue, st.Retries)
	send(c.sent, prometheus.CounterValue, st.BytesSent)
	send(c.received, prometheus.CounterValue, st.BytesReceived)
	send(c.inFlight, prometheus.GaugeValue, st.InFlight)
}
