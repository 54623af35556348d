package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
)

func newGCCommand(environ []string) *cobra.Command {
	var (
		server  target
		output  format
		garbage int
	)
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Give the space of deleted data back now",
		Long: `Give the space of deleted data back now. A running server does so by itself
(compaction in the configuration); this command does not wait for its turn, goes
further, and says what came of it. It changes no file, and may be interrupted at
any time.

First, what still lives in segments of which much is dead is written to new ones,
at compaction.rate at most, until no more than --garbage percent of all stored
bytes is dead; 100 rewrites nothing. Then the segments that no file uses any more
are deleted in the content store and in the cache. A segment is kept for a few
seconds after its last byte was deleted, for readers that had begun before; the
command waits for that.

With --output json each line is the state after one step, the last one the
result.` + controlHelp,
		Example: `  rm -rf /mnt/old && dittofs gc

  # how much came back?
  dittofs gc --output json | tail -n 1 | jq .freed_bytes`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if garbage < 1 || garbage > 100 {
				return configFailure(fmt.Errorf("--garbage: %d is not between 1 and 100", garbage))
			}
			return runGC(ctx, &server, environ, report.GCRequest{GarbagePercent: garbage}, output, cmd.OutOrStdout(),
				cmd.ErrOrStderr())
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	cmd.AddCommand(newOrphansCommand(environ))
	cmd.Flags().IntVar(&garbage, "garbage", 10,
		"rewrite segments until at most `PERCENT` of the stored bytes is dead; 1 to 100")
	return cmd
}

func runGC(
	ctx context.Context, server *target, environ []string, want report.GCRequest, output format, stdout, stderr io.Writer,
) error {
	now, err := follow(ctx, server, environ, "gc", want, output, stdout, stderr, func(now report.GC) string {
		return fmt.Sprintf("%s; %d %s left to delete", gcText(now), now.Dead, printable.Number(now.Dead, "is", "are"))
	})
	switch {
	case err != nil:
		return err
	case now.Error != "":
		return &failure{
			code: exitRuntime, err: fmt.Errorf("dittofs: not all could be given back, the server tries again by itself: %s",
				now.Error),
		}
	case output == asJSON:
		return nil
	}
	_, err = fmt.Fprintf(stdout, "%s\n", gcText(now))
	return outputFailure(err)
}

func gcText(now report.GC) string {
	text := fmt.Sprintf("deleted %s, %s", printable.Count(now.Deleted, "segment"), bytesText(now.Freed))
	if now.Compacted > 0 {
		text += fmt.Sprintf("; rewrote %s that lived in %d", bytesText(now.Rewritten), now.Compacted)
	}
	return text + expectedText(now.Expected)
}
