package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/dittofs/dittofs/internal/data"
	"github.com/dittofs/dittofs/internal/report"
)

const (
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
	// firstWindow is how long the rates of the first report are measured at
	// most: nobody waits longer to see something.
	firstWindow = 500 * time.Millisecond
)

// controlStatus is the operation "status": a report.Status again and again.
func (s *server) controlStatus(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
	want := report.StatusRequest{Count: 1, Interval: report.Of(firstWindow)}
	if err := decodeArgs(args, &want); err != nil {
		return err
	}
	interval := want.Interval.Duration()
	if want.Count < 0 || interval < minInterval || interval > maxInterval {
		return fmt.Errorf("the arguments: count %d, interval %v: a count is 0 or more, an interval %v to %v",
			want.Count, interval, minInterval, maxInterval)
	}
	before, err := s.metrics.callCounts()
	if err != nil {
		return err
	}
	wait := min(interval, firstWindow)
	for i := 0; want.Count == 0 || i < want.Count; i++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		now, err := s.metrics.callCounts()
		if err != nil {
			return err
		}
		if err := emit(s.status(ctx, before, now)); err != nil {
			return err
		}
		before, wait = now, interval
	}
	return nil
}

// status is the server now, with rates between two counts.
func (s *server) status(ctx context.Context, before, now callCounts) report.Status {
	r := report.Status{
		Time: now.at.UTC(), Version: s.opt.Version, PID: os.Getpid(), Started: s.started.UTC(),
		Uptime: report.Of(now.at.Sub(s.started)),
		NFS:    s.nfs.String(), Health: s.state.report(nil), Durability: string(s.cfg.Durability),
		Metadata: string(s.cfg.Metadata.Type), Content: string(s.cfg.Content.Type),
		Shares: s.shareReports(ctx), Operations: operationsReport(before, now), Data: s.dataReport(now.at),
	}
	for _, c := range s.clientReports(now.at) {
		if len(c.Connections) > 0 {
			r.Clients.Addresses++
			r.Clients.Connections += len(c.Connections)
		}
	}
	return r
}

func (s *server) dataReport(now time.Time) report.Data {
	st, lag := s.stores.data.Stats(), s.stores.data.Lag()
	return report.Data{
		DirtyBytes: st.DirtyBytes, DirtyFiles: st.DirtyFiles,
		Upload: report.Upload{Lag: report.Of(lagAge(lag, now)), Bytes: lag.Bytes, Segments: lag.Segments},
		Cache: report.Cache{
			Path: s.cfg.Cache.Path, Limit: int64(s.cfg.Cache.Size), Journal: st.JournalBytes, Pages: st.PageBytes,
			Hits: st.PageHits, Misses: st.PageMisses,
		},
		Segments: st.Segments, DeadSegments: s.stores.data.Dead(), ExpectedSegments: s.stores.data.Expected(),
		ContentErrors: st.StoreErrors,
	}
}

// lagAge is how old the oldest bytes are that the content store does not have.
func lagAge(l data.Lag, now time.Time) time.Duration {
	if l.Oldest.IsZero() {
		return 0
	}
	return max(now.Sub(l.Oldest), 0)
}

// callCounts are the calls since the start.
type callCounts struct {
	at      time.Time
	calls   map[procedureName]float64
	in, out float64 // bytes
}

type procedureName struct{ program, name string }

// callCounts reads the counters.
func (m *metrics) callCounts() (callCounts, error) {
	c := callCounts{at: time.Now(), calls: map[procedureName]float64{}}
	families, err := m.calls.Gather()
	if err != nil {
		return c, err
	}
	for _, f := range families {
		for _, counter := range f.GetMetric() {
			label := map[string]string{}
			for _, l := range counter.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			n := counter.GetCounter().GetValue()
			switch label["direction"] {
			case "in":
				c.in += n
			case "out":
				c.out += n
			default:
				c.calls[procedureName{label["program"], label["procedure"]}] += n
			}
		}
	}
	return c, nil
}

func operationsReport(before, now callCounts) report.Operations {
	interval := now.at.Sub(before.at)
	rate := func(a, b float64) float64 { return (b - a) / max(interval.Seconds(), 1e-9) }
	o := report.Operations{
		Interval: report.Of(interval), InBytes: uint64(now.in), OutBytes: uint64(now.out),
		InRate: rate(before.in, now.in), OutRate: rate(before.out, now.out), Procedures: []report.Procedure{},
	}
	for p, n := range now.calls {
		if n == 0 {
			continue
		}
		perSecond := rate(before.calls[p], n)
		o.Total += uint64(n)
		o.PerSecond += perSecond
		o.Procedures = append(o.Procedures, report.Procedure{
			Program: p.program, Name: p.name, Total: uint64(n), PerSecond: perSecond,
		})
	}
	slices.SortFunc(o.Procedures, func(a, b report.Procedure) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), cmp.Compare(b.Total, a.Total), cmp.Compare(a.Program, b.Program),
			cmp.Compare(a.Name, b.Name))
	})
	return o
}
