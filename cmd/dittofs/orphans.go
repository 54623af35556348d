package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
)

func newOrphansCommand(environ []string) *cobra.Command {
	var (
		server target
		output format
		want   report.OrphansRequest
	)
	cmd := &cobra.Command{
		Use:   "orphans",
		Short: "List objects of the content store that no file and no backup uses, or delete them",
		Long: `List objects of the content store that no file and no backup uses, or delete them.
They are segments of data that were written after the moment to which the metadata
was restored, or by a server that had been replaced without knowing it. Nothing
but --delete removes them, because whoever has newer metadata, such as a volume
that was rolled back by mistake, can still use them.

What is being written is never among them, nor are objects that are no segments
of this server. While a backup cannot be read, all that it may refer to is kept.

With --output json there is a line {"orphan":...} for each, and at the end
{"summary":...}.` + controlHelp,
		Example: `  dittofs gc orphans
  dittofs gc orphans --delete`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return runOrphans(ctx, &server, environ, want, output, cmd.OutOrStdout())
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	cmd.Flags().BoolVar(&want.Delete, "delete", false, "delete them, and name each that was deleted")
	return cmd
}

func runOrphans(
	ctx context.Context, server *target, environ []string, want report.OrphansRequest, output format, stdout io.Writer,
) error {
	return server.call(ctx, environ, "orphans", want, func(line json.RawMessage) error {
		if output == asJSON {
			return printLine(stdout, line)
		}
		var l report.OrphansLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		var err error
		switch {
		case l.Orphan != nil:
			_, err = fmt.Fprintf(stdout, "%s  %s\n", printable.Word(l.Orphan.Object), bytesText(l.Orphan.Bytes))
		case l.Summary != nil:
			_, err = fmt.Fprintln(stdout, orphansText(*l.Summary))
		}
		return outputFailure(err)
	})
}

func orphansText(sum report.Orphans) string {
	text := "no orphans"
	switch {
	case sum.Deleted:
		text = fmt.Sprintf("deleted %s, %s", printable.Count(sum.Orphans, "orphan"), bytesText(sum.Bytes))
	case sum.Orphans > 0:
		text = fmt.Sprintf("%s, %s; --delete gives that back", printable.Count(sum.Orphans, "orphan"), bytesText(sum.Bytes))
	}
	if sum.Kept > 0 {
		text += fmt.Sprintf("; %d more %s kept for backups", sum.Kept, printable.Number(sum.Kept, "is", "are"))
	}
	return text
}
