package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/printable"
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
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration as serve would, without starting anything",
		Long: `Check a configuration as serve would, without starting anything.

The exit code is 0 for a valid configuration (warnings go to standard error),
and 2 for another: then standard error has one line for each fault, which names
the key, the line and the fix.`,
		Example: `  dittofs config validate --config config.yaml`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, warnings, err := loadConfig(file, environ)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", printable.Line(w.String()))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: valid\n", file)
			return outputFailure(err)
		},
	}
	configFlag(cmd, &file)
	return cmd
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
