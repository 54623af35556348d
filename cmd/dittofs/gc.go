package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/report"
)

func newGCCommand(environ []string) *cobra.Command {
	var (
		server target
		output format
	)
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Give the space of deleted data back now",
		Long: `Give the space of deleted data back now: delete the segments that no file uses
any more, in the content store and in the cache. A running server does so by
itself; this command does not wait for its turn and says what came of it. It
changes no file, and may be interrupted at any time.

A segment is kept for half a minute after its last byte was deleted, for readers
that had begun before; the command waits for that.

With --output json each line is the state after one step, the last one the
result.` + controlHelp,
		Example: `  rm -rf /mnt/old && dittofs gc

  # how much came back?
  dittofs gc --output json | tail -n 1 | jq .freed_bytes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return runGC(ctx, &server, environ, output, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	return cmd
}

func runGC(ctx context.Context, server *target, environ []string, output format, stdout, stderr io.Writer) error {
	var now report.GC
	progress := output == asText && isTerminal(stderr)
	err := server.call(ctx, environ, "gc", struct{}{}, func(line json.RawMessage) error {
		if err := json.Unmarshal(line, &now); err != nil {
			return err
		}
		switch {
		case output == asJSON:
			_, err := fmt.Fprintf(stdout, "%s\n", line)
			return outputFailure(err)
		case progress:
			fmt.Fprintf(stderr, "\r\x1b[Kdeleted %d segments, %s; %d are left", now.Deleted, bytesText(now.Freed), now.Dead)
		}
		return nil
	})
	if progress {
		fmt.Fprint(stderr, "\r\x1b[K")
	}
	switch {
	case err != nil:
		return err
	case now.Error != "":
		return &failure{code: exitRuntime, err: fmt.Errorf("dittofs: not all could be deleted, the server tries again by itself: %s", now.Error)}
	case output == asJSON:
		return nil
	}
	_, err = fmt.Fprintf(stdout, "deleted %d segments, %s\n", now.Deleted, bytesText(now.Freed))
	return outputFailure(err)
}
