package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/server"
	"github.com/dittofs/dittofs/pkg/config"
)

func newConfigCommand(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and print configurations",
		Long: `Check and print configurations.

Every key can be overridden by an environment variable: cache.path by
DITTOFS_CACHE_PATH, shares[0].read_only by DITTOFS_SHARES_0_READ_ONLY.`,
		Example: `  dittofs config default > config.yaml
  dittofs config validate --config config.yaml`,
	}
	makeGroup(cmd)
	cmd.AddCommand(newValidateCommand(environ), newDefaultCommand(), newSchemaCommand())
	return cmd
}

func newValidateCommand(environ []string) *cobra.Command {
	var file string
	var connect bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration as serve would, without starting anything",
		Long: `Check a configuration as serve would, without starting anything.

The exit code is 0 for a valid configuration (warnings go to standard error),
and 2 for another: then standard error has one line for each fault, which names
the key, the line and the fix. Files with credentials that it names must be there.

--connect asks the stores too: whether the metadata and the content can be reached
with the credentials that are there, and what they hold. There is one line for each,
and nothing is changed. The exit code is 1 if one of them cannot be used.`,
		Example: `  dittofs config validate --config config.yaml

  # can the bucket and the database be used from here?
  dittofs config validate --connect --config config.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := loadConfig(file, environ)
			if err != nil {
				return err
			}
			if faults := config.CheckFiles(cfg); len(faults) > 0 {
				return configFailure(&config.InvalidError{Faults: faults})
			}
			for _, w := range warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", printable.Line(w.String()))
			}
			if _, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: valid\n", file); err != nil || !connect {
				return outputFailure(err)
			}
			return connectStores(cmd, cfg)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&connect, "connect", false, "ask the stores whether they can be used")
	return cmd
}

// connectStores prints what each store answers.
func connectStores(cmd *cobra.Command, cfg *config.Config) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	failed := false
	for _, a := range server.Connect(ctx, cfg, slog.New(slog.DiscardHandler)) {
		text := "ok: " + a.State
		if a.Err != nil {
			failed, text = true, "cannot be used: "+a.Err.Error()
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", a.Store, printable.Line(a.Place+": "+text)); err != nil {
			return outputFailure(err)
		}
	}
	if failed {
		return &failure{code: exitRuntime, err: errors.New("a store cannot be used"), reported: true}
	}
	return nil
}

func newDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "default",
		Short:   "Print a complete configuration of one share, with every default",
		Example: `  dittofs config default > config.yaml`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := config.Marshal(config.Default())
			if err != nil {
				return &failure{code: exitRuntime, err: err}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return outputFailure(err)
		},
	}
}

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of the configuration, for editors",
		Example: `  # completion and checks in editors with the YAML language server:
  dittofs config schema > config.schema.json
  # then, as the first line of config.yaml:
  # yaml-language-server: $schema=config.schema.json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return outputFailure(err)
		},
	}
}
