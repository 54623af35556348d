package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is everything that a run found out.
type Report struct {
	Machine    string
	Began      time.Time
	Took       string
	LoadBefore string // averages of 1, 5 and 15 minutes
	LoadAfter  string
	How        string // connections, rounds, times
	Peer       string `json:",omitempty"`
	Results    []*Result
}

func newReport(o *options) *Report {
	r := &Report{Machine: machine(), Began: time.Now(), LoadBefore: loadAverage()}
	r.How = fmt.Sprintf("%d connections × %d outstanding unless said, %d alternating rounds of %v, medians, "+
		"ratios round by round; the new file has %s",
		o.conns, o.depth, o.rounds, o.time, mib(o.size))
	if o.peer != nil {
		r.Peer = o.peer.name
	}
	return r
}

func (r *Report) finish() {
	r.Took, r.LoadAfter = time.Since(r.Began).Round(time.Second).String(), loadAverage()
}

func (r *Report) head() []string {
	return []string{
		r.Machine, r.How, fmt.Sprintf("took %s; load average before %s, after %s",
			r.Took, r.LoadBefore, r.LoadAfter), r.count(),
	}
}

func (r *Report) count() string {
	met, not, unknown := 0, 0, 0
	for _, res := range r.Results {
		switch {
		case res.Met == nil:
			unknown++
		case *res.Met:
			met++
		default:
			not++
		}
	}
	return fmt.Sprintf("%d met, %d not met, %d without a verdict", met, not, unknown)
}

// cells is a line of the table.
func (r *Result) cells() []string {
	ratio, rss := "", ""
	if r.Ratio != nil {
		ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", r.Ratio.Median, r.Ratio.Min, r.Ratio.Max)
	}
	if r.OursFigures != nil && r.OursFigures.RSS > 0 {
		rss = mib(r.OursFigures.RSS)
	}
	if r.PeerFigures != nil && r.PeerFigures.RSS > 0 {
		rss += ", peer " + mib(r.PeerFigures.RSS)
	}
	return []string{r.Row, r.Ours, r.Peer, ratio, r.Goal, r.verdict(), r.Note, rss}
}

func (r *Result) verdict() string {
	switch {
	case r.Met == nil:
		return "–"
	case *r.Met:
		return "met"
	}
	return "NOT MET"
}

func (r *Report) columns() []string {
	peer := r.Peer
	if peer == "" {
		peer = "peer"
	}
	return []string{"row", "dittofs", peer, "ratio (rounds)", "goal", "", "notes", "memory"}
}

func (r *Report) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(r.columns(), "\t"))
	for _, res := range r.Results {
		fmt.Fprintln(w, strings.Join(res.cells(), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "\n"+strings.Join(r.head(), "\n"))
	return err
}

func (r *Report) markdown(out io.Writer) error {
	line := func(cells []string) { fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | ")) }
	for _, text := range r.head() {
		fmt.Fprintf(out, "- %s\n", text)
	}
	fmt.Fprintln(out)
	line(r.columns())
	fmt.Fprintln(out, "|"+strings.Repeat("---|", len(r.columns())))
	for _, res := range r.Results {
		line(res.cells())
	}
	return nil
}

func (r *Report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// write writes one of the forms to a file.
func (r *Report) write(path string, form func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := form(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
