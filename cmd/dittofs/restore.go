package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/internal/server"
	"github.com/dittofs/dittofs/pkg/config"
)

// exitRefused: nothing was changed.
const exitRefused = 3

func newRestoreCommand(environ []string) *cobra.Command {
	var (
		file, from   string
		allowMissing bool
		output       format
	)
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make the metadata store again from a backup in the content store",
		Long: `Make the metadata store of a configuration again from a backup in its content
store: for a server whose metadata volume is lost. The tree, the file handles and
the data are those of the backup's recovery point; what was written later is gone.
Clients that stayed mounted go on when the server serves again.

The metadata store must be empty, and no server may use it or the content store:
a server that runs elsewhere is asked, which takes ten seconds. The whole backup is
read and checked before anything is written. If the restore is cut off, nothing can
be served until it was run again.

Exit codes: 0 restored; 1 it failed while writing, run it again; 2 the command line
or the configuration is wrong; 3 refused, and nothing was changed.`,
		Example: `  # the newest backup
  dittofs restore --config config.yaml && dittofs serve --config config.yaml

  # an older one
  dittofs backup list --config config.yaml
  dittofs restore --config config.yaml --from 00000042-20261124t190000z`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(file, environ)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if from == "latest" {
				from = ""
			}
			return runRestore(ctx, cfg, server.RestoreOptions{From: from, AllowMissing: allowMissing}, output, cmd.OutOrStdout(),
				cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&from, "from", "latest", "`NAME` of the backup, or latest")
	cmd.Flags().BoolVar(&allowMissing, "allow-missing", false,
		"restore although segments of data are missing in the content store; reads of their bytes fail")
	outputFlag(cmd, &output)
	return cmd
}

func runRestore(
	ctx context.Context, cfg *config.Config, o server.RestoreOptions, output format, stdout, stderr io.Writer,
) error {
	o.Logger = quietLogger(stderr)
	progress := newProgressLine(stderr, output)
	o.Progress = func(done, total int64) { progress.show(fmt.Sprintf("%d of %s", done, printable.Count(total, "key"))) }
	done, err := server.Restore(ctx, cfg, o)
	progress.clear()
	if err != nil {
		return restoreFailure(err)
	}
	if output == asJSON {
		return printJSON(stdout, done)
	}
	_, err = fmt.Fprint(stdout, restoredText(done))
	return outputFailure(err)
}

func restoredText(r *report.Restored) string {
	text := fmt.Sprintf("restored %s from backup %s; recovery point %s\n",
		printable.Count(r.Keys, "key"), printable.Line(r.Name), pointText(r.RecoveryPoint))
	if r.Missing > 0 {
		text += fmt.Sprintf("%s missing: reads of their bytes fail; \"dittofs fsck\" says which files have them\n",
			printable.Number(r.Missing, "1 segment is", fmt.Sprint(r.Missing, " segments are")))
	}
	return text
}

// restoreFailure gives an error its exit code.
func restoreFailure(err error) error {
	var (
		field   *server.FieldError
		refusal *server.Refusal
	)
	switch {
	case errors.As(err, &field):
		return configFailure(fmt.Errorf("dittofs: %w", err))
	case errors.As(err, &refusal):
		return &failure{code: exitRefused, err: fmt.Errorf("dittofs: not restored, and nothing was changed: %w", err)}
	case errors.Is(err, context.Canceled):
		return &failure{
			code: exitRuntime, err: errors.New("dittofs: interrupted: run the restore again before the server is started"),
		}
	}
	return &failure{code: exitRuntime, err: fmt.Errorf("dittofs: the restore is not complete, run it again: %w", err)}
}
