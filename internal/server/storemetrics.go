package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dittofs/dittofs/internal/content/s3"
)

// registerRemote shows the figures of a content store outside of this process, if
// there is one.
func (s *stores) registerRemote(m *metrics) {
	if store, ok := s.content.(*s3.Store); ok {
		m.registry.MustRegister(newS3Collector(store))
	}
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
		store: store,
		requests: desc("requests_total", "Requests sent to S3, by the name of the operation in its API; every try counts.",
			"operation"),
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
