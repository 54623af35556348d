package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dittofs/dittofs/internal/data"
)

// registerCallMemory shows what calls hold, and who waits for it.
func (s *server) registerCallMemory() {
	s.metrics.gauge("dittofs_call_memory_bytes", "Bytes that calls and replies of all clients hold.",
		func() float64 { return float64(s.rpc.Memory().Used) })
	s.metrics.gauge("dittofs_call_memory_limit_bytes", "The most that they may hold.",
		func() float64 { return float64(s.rpc.Memory().Limit) })
	s.metrics.gauge("dittofs_call_memory_waiting", "Connections that are not read until others give bytes back.",
		func() float64 { return float64(s.rpc.Memory().Waiting) })
}

// register shows the figures of the stores in the metrics.
func (s *stores) register(m *metrics) {
	figures := &dataFigures{data: s.data}
	gauge := func(name, help string, read func(*data.Stats) float64) {
		figures.add(name, help, prometheus.GaugeValue, read)
	}
	counter := func(name, help string, read func(*data.Stats) float64) {
		figures.add(name, help, prometheus.CounterValue, read)
	}
	defer func() { m.registry.MustRegister(figures) }()
	gauge("journal_bytes", "Bytes reserved in the journal by segments that are not in the content store yet.",
		func(st *data.Stats) float64 { return float64(st.JournalBytes) })
	gauge("journal_limit_bytes", "The most that dittofs_journal_bytes may be: cache.size.",
		func(st *data.Stats) float64 { return float64(st.JournalLimit) })
	gauge("cache_bytes", "Bytes that the journal and the pages of stored segments take under cache.path; "+
		"at most cache.size.",
		func(st *data.Stats) float64 { return float64(st.JournalBytes + st.PageBytes) })
	gauge("cache_pages_bytes", "Bytes of copies of stored segments under cache.path.",
		func(st *data.Stats) float64 { return float64(st.PageBytes) })
	counter("cache_hits_total", "Pages of stored segments that were in the cache when they were read.",
		func(st *data.Stats) float64 { return float64(st.PageHits) })
	counter("cache_misses_total", "Pages of stored segments that had to be fetched when they were read.",
		func(st *data.Stats) float64 { return float64(st.PageMisses) })
	counter("cache_evictions_total", "Pages that gave way to others.",
		func(st *data.Stats) float64 { return float64(st.PagesEvicted) })
	counter("cache_damaged_total", "Pages in the cache that failed their checksum and were fetched again.",
		func(st *data.Stats) float64 { return float64(st.PagesDamaged) })
	gauge("dirty_bytes", "Bytes written and not yet committed.",
		func(st *data.Stats) float64 { return float64(st.DirtyBytes) })
	gauge("dirty_files", "Files with bytes that are not yet committed.",
		func(st *data.Stats) float64 { return float64(st.DirtyFiles) })
	gauge("segments", "Segments in the journal and the content store.",
		func(st *data.Stats) float64 { return float64(st.Segments) })
	gauge("segments_unsent", "Sealed segments that wait for the content store.",
		func(st *data.Stats) float64 { return float64(st.Unsent) })
	m.gauge("dittofs_upload_lag_seconds",
		"Age of the oldest bytes that are not in the content store; 0 if there are none.",
		func() float64 { return lagAge(s.data.Lag(), time.Now()).Seconds() })
	m.gauge("dittofs_upload_waiting_bytes", "Bytes of segments that are not in the content store.",
		func() float64 { return float64(s.data.Lag().Bytes) })
	m.gauge("dittofs_segments_dead", "Segments that nothing refers to and that are not deleted yet.",
		func() float64 { return float64(s.data.Dead()) })
	m.gauge("dittofs_segments_expected", "Segments of which a server before this one may still be sending the object; "+
		"nothing refers to them.",
		func() float64 { return float64(s.data.Expected()) })
	counter("journal_written_bytes_total", "Bytes of files written to the journal.",
		func(st *data.Stats) float64 { return float64(st.AppendedBytes) })
	counter("journal_syncs_total", "Syncs of the journal.",
		func(st *data.Stats) float64 { return float64(st.Syncs) })
	counter("journal_waits_total", "Times that a writer waited for room in the journal.",
		func(st *data.Stats) float64 { return float64(st.Waits) })
	counter("compacted_segments_total", "Segments that were rewritten because much of them was dead.",
		func(st *data.Stats) float64 { return float64(st.Compacted) })
	counter("compaction_rewritten_bytes_total", "Bytes of files that lived in those segments.",
		func(st *data.Stats) float64 { return float64(st.RewrittenBytes) })
	counter("layout_rewritten_bytes_total",
		"Bytes of files that were written at random, and copied in order because they are read in order.",
		func(st *data.Stats) float64 { return float64(st.LaidOutBytes) })
	gauge("layout_waiting_files", "Files that wait to be copied in order.",
		func(st *data.Stats) float64 { return float64(st.LayOuts) })
	counter("orphans_deleted_total", "Objects that no file and no backup used and that \"dittofs gc orphans\" deleted.",
		func(st *data.Stats) float64 { return float64(st.Orphans) })
	gauge("stored_bytes", "Bytes of files in the content store, live or not.",
		func(st *data.Stats) float64 { return float64(st.PayloadBytes) })
	gauge("stored_live_bytes", "Bytes of files in the content store that files have.",
		func(st *data.Stats) float64 { return float64(st.LiveBytes) })
	counter("content_reads_total", "Reads from the content store.",
		func(st *data.Stats) float64 { return float64(st.StoreReads) })
	counter("content_written_bytes_total", "Bytes of segments handed to the content store.",
		func(st *data.Stats) float64 { return float64(st.StoredBytes) })
	counter("content_fetched_bytes_total", "Bytes of pages fetched from the content store.",
		func(st *data.Stats) float64 { return float64(st.FetchedBytes) })
	counter("content_errors_total", "Failed operations of the content store.",
		func(st *data.Stats) float64 { return float64(st.StoreErrors) })
	m.counter("dittofs_metadata_commits_total", "Durable commits of the metadata store.", func() float64 {
		commits, _, _ := s.log.Stats()
		return float64(commits)
	})
	m.counter("dittofs_metadata_batches_total", "Changes that those commits made durable.", func() float64 {
		_, batches, _ := s.log.Stats()
		return float64(batches)
	})
	m.gauge("dittofs_metadata_pending_bytes", "Bytes of changes that wait for their commit.", func() float64 {
		_, _, pending := s.log.Stats()
		return float64(pending)
	})
	m.counter("dittofs_metadata_cache_hits_total", "Inodes and names found in the cache of metadata.cache.",
		func() float64 { return float64(s.log.CacheStats().Hits) })
	m.counter("dittofs_metadata_cache_misses_total", "Inodes and names that were not found there.",
		func() float64 { return float64(s.log.CacheStats().Misses) })
	m.gauge("dittofs_metadata_cache_bytes", "Bytes that the pairs in that cache take.",
		func() float64 { return float64(s.log.CacheStats().Used) })
	m.gauge("dittofs_inodes_cached", "Inodes in memory.", func() float64 { return float64(s.fs.CachedInodes()) })
}

// dataFigures shows the figures of the data store, which are taken once for
// everybody who asks for the metrics: that looks at all segments.
type dataFigures struct {
	data *data.Store
	all  []dataFigure
}

type dataFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*data.Stats) float64
}

func (f *dataFigures) add(name, help string, kind prometheus.ValueType, read func(*data.Stats) float64) {
	f.all = append(f.all, dataFigure{prometheus.NewDesc("dittofs_"+name, help, nil, nil), kind, read})
}

// Describe implements prometheus.Collector.
func (f *dataFigures) Describe(to chan<- *prometheus.Desc) {
	for _, one := range f.all {
		to <- one.desc
	}
}

// Collect implements prometheus.Collector.
func (f *dataFigures) Collect(to chan<- prometheus.Metric) {
	st := f.data.Stats()
	for _, one := range f.all {
		to <- prometheus.MustNewConstMetric(one.desc, one.kind, one.read(&st))
	}
}
