package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/pkg/health"
)

func newStatusCommand(environ []string) *cobra.Command {
	var (
		server   target
		output   format
		watch    bool
		interval time.Duration
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running server does and how it is",
		Long: `Show what a running server does and how it is: the health of its stores, shares,
clients, the last backup, operations each second, bytes that are written and not committed yet
(dirty), how far the content store is behind (upload lag: the age of the oldest
bytes that it does not have), and what the cache holds.

--watch shows it again every --interval, until interrupted. With --output json
that is one line for each time; without --watch it is one object.` + controlHelp,
		Example: `  dittofs status

  # what goes on, every second
  dittofs status --watch --interval 1s

  # for a script: bytes that are only in the journal
  dittofs status --output json | jq .data.upload.bytes

  # a server on another machine
  dittofs status --admin http://10.0.0.7:8080 --token-file token`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 100*time.Millisecond || interval > time.Hour {
				return configFailure(fmt.Errorf("--interval: %v is not between 100ms and 1h", interval))
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			show := statusPrinter(cmd.OutOrStdout(), output, watch)
			want := report.StatusRequest{Count: 1, Interval: report.Of(interval)}
			if watch {
				want.Count = 0
			}
			err := server.call(ctx, environ, "status", want, func(line json.RawMessage) error {
				var st report.Status
				if err := json.Unmarshal(line, &st); err != nil {
					return err
				}
				return show(line, &st)
			})
			if watch && ctx.Err() != nil {
				return nil // as it was asked for
			}
			return err
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again and again")
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second,
		"time between two, over which rates are measured; 100ms to 1h")
	return cmd
}

// statusPrinter shows one status after the other, each in the place of the one
// before on a terminal.
func statusPrinter(w io.Writer, output format, watch bool) func(line json.RawMessage, st *report.Status) error {
	shown := 0
	return func(line json.RawMessage, st *report.Status) error {
		shown++
		switch {
		case output == asJSON && watch:
			return printLine(w, line)
		case output == asJSON:
			return printJSON(w, line)
		}
		text := statusText(st)
		switch {
		case watch && isTerminal(w):
			text = "\x1b[H\x1b[2J" + text // home, erase
		case shown > 1:
			text = "\n" + text
		}
		_, err := io.WriteString(w, text)
		return outputFailure(err)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// shownProcedures is how many of them the text has.
const shownProcedures = 6

func statusText(st *report.Status) string {
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "%-11s %s\n", printable.Line(name), printable.Line(fmt.Sprintf(format, args...)))
	}
	line("server", "dittofs %s, %s for %s, NFS at %s, pid %d",
		st.Version, st.Health.Phase, ageText(st.Uptime), st.NFS, st.PID)
	for _, c := range st.Health.Checks {
		kind := st.Metadata
		if c.Name == "content" {
			kind = st.Content
		}
		if c.OK {
			line(c.Name, "%s, ok", kind)
		} else {
			line(c.Name, "%s, %s: %s", kind, c.Reason, c.Message)
		}
	}
	if b := st.Health.Backup; b != nil {
		line("backup", "%s", backupText(b, st.Time))
	}
	line("clients", "%d, with %s", st.Clients.Addresses, printable.Count(st.Clients.Connections, "connection"))
	o := &st.Operations
	line("operations", "%s/s, in %s/s, out %s/s; %d since the start",
		rateText(o.PerSecond), bytesText(o.InRate), bytesText(o.OutRate), o.Total)
	d := &st.Data
	line("dirty", "%s in %s, written and not committed", bytesText(d.DirtyBytes), printable.Count(d.DirtyFiles, "file"))
	if d.Upload.Segments == 0 {
		line("upload", "nothing waits for the content store")
	} else {
		line("upload", "%s in %s %s for the content store, the oldest for %s", bytesText(d.Upload.Bytes),
			printable.Count(d.Upload.Segments, "segment"), printable.Number(d.Upload.Segments, "waits", "wait"),
			ageText(d.Upload.Lag))
	}
	line("cache", "%s of %s: journal %s, pages %s; %s", bytesText(d.Cache.Journal+d.Cache.Pages), bytesText(d.Cache.Limit),
		bytesText(d.Cache.Journal), bytesText(d.Cache.Pages), hitsText(d.Cache))
	line("segments", "%d, of which %d %s to be deleted%s", d.Segments, d.DeadSegments,
		printable.Number(d.DeadSegments, "is dead and waits", "are dead and wait"), expectedText(d.ExpectedSegments))
	out.WriteString("\n" + sharesTable(st.Shares).String())
	busy := newTable("OPERATION", ">/S", ">TOTAL")
	for i, p := range o.Procedures {
		if i < shownProcedures {
			busy.row(p.Program+" "+p.Name, rateText(p.PerSecond), fmt.Sprint(p.Total))
		}
	}
	if len(busy.rows) > 0 {
		out.WriteString("\n" + busy.String())
	}
	return out.String()
}

// backupText says what a server could be made again from at the time now.
func backupText(b *health.Backup, now time.Time) string {
	text := "none"
	if p := b.RecoveryPoint; p != nil {
		text = fmt.Sprintf("of %s, %s ago", p.UTC().Format(time.RFC3339), ageText(report.Of(max(now.Sub(*p), 0))))
	}
	if !b.OK {
		text += fmt.Sprintf("; %s: %s", b.Reason, b.Message)
	}
	return text
}

// expectedText is about segments that are expected, if there are any.
func expectedText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d %s empty, and an object may still come", n, printable.Number(n, "is", "are"))
}

func hitsText(c report.Cache) string {
	if c.Hits+c.Misses == 0 {
		return "no page was read from the content store"
	}
	return fmt.Sprintf("%.0f%% of page reads hit", 100*float64(c.Hits)/float64(c.Hits+c.Misses))
}
