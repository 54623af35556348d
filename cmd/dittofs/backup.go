package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/internal/server"
)

func newBackupCommand(environ []string) *cobra.Command {
	var (
		server target
		output format
	)
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy the metadata of a running server to its content store now",
		Long: `Copy the metadata of a running server to its content store now, next to the
data. From there "dittofs restore" makes a metadata store again: a server whose
metadata volume is lost is rebuilt from the bucket alone, with the same tree and
the same file handles, so that clients that stayed mounted go on.

The server goes on serving. The backup is of one moment, the recovery point:
everything that was acknowledged before is in it. Only what has changed since the
last backup is written. backup.every makes backups by itself, and backup.keep of
them stay; data that was deleted takes space until the last backup that refers to
it goes. dittofs_backup_recovery_point_seconds of /metrics is the recovery point.

With --output json each line is progress, the last one the backup.` + controlHelp,
		Example: `  dittofs backup
  dittofs backup list

  # how many bytes did it add?
  dittofs backup --output json | tail -n 1 | jq .backup.written_bytes`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return runBackup(ctx, &server, environ, output, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	cmd.AddCommand(newBackupListCommand(environ))
	return cmd
}

func runBackup(ctx context.Context, server *target, environ []string, output format, stdout, stderr io.Writer) error {
	last, err := follow(ctx, server, environ, "backup", struct{}{}, output, stdout, stderr,
		func(now report.BackupLine) string {
			return fmt.Sprintf("%s, %s written", printable.Count(now.Keys, "key"), bytesText(now.Written))
		})
	if err != nil || output == asJSON || last.Backup == nil {
		return err
	}
	b := last.Backup
	_, err = fmt.Fprintf(stdout, "backup %s: %s, %s, of which %s are new; recovery point %s\n",
		printable.Line(b.Name), printable.Count(b.Keys, "key"), bytesText(b.Bytes), bytesText(b.Written),
		pointText(b.RecoveryPoint))
	return outputFailure(err)
}

// pointText is a moment for people.
func pointText(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func newBackupListCommand(environ []string) *cobra.Command {
	var (
		file   string
		output format
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the backups in the content store of a configuration",
		Long: `List the backups in the content store of a configuration, oldest first. It reads
the content store itself, so no server need run.

With --output json it is one array of objects.

Exit codes: 0 done; 1 the content store cannot be read; 2 the command line or the
configuration is wrong.`,
		Example: `  dittofs backup list --config config.yaml`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(file, environ)
			if err != nil {
				return err
			}
			list, err := server.ListBackups(cmd.Context(), cfg, quietLogger(cmd.ErrOrStderr()))
			if err != nil {
				return &failure{code: exitRuntime, err: fmt.Errorf("dittofs: %w", err)}
			}
			if output == asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), backupTable(list))
			return outputFailure(err)
		},
	}
	configFlag(cmd, &file)
	outputFlag(cmd, &output)
	return cmd
}

// quietLogger says only what is wrong.
func quietLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: logging.PlainErrors}))
}

func backupTable(list []report.Backup) *table {
	t := newTable("NAME", "RECOVERY POINT", ">KEYS", ">BYTES", ">NEW")
	for _, b := range list {
		if b.Error != "" {
			t.row(b.Name, b.Error, "", "", "")
			continue
		}
		t.row(b.Name, pointText(b.RecoveryPoint), fmt.Sprint(b.Keys), bytesText(b.Bytes), bytesText(b.Written))
	}
	return t
}
