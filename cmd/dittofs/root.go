package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/pkg/version"
)

func newRootCommand(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "dittofs",
		Short: "A file server for NFS clients",
		Long: `dittofs serves directory trees ("shares") to NFS clients.

Everything is in one file: no command is needed after the start. Those that look
at a running server, such as status, find it by the same file.`,
		Example: `  # write a configuration, say in it who may write (shares[].root), check it, serve
  dittofs config default > config.yaml
  dittofs config validate --config config.yaml
  dittofs serve --config config.yaml

  # mount the share "export" on Linux (as root; NFS and MOUNT are on one port)
  mount -t nfs -o nfsvers=3,port=2049,mountport=2049,proto=tcp,mountproto=tcp,nolock 127.0.0.1:/export /mnt`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	makeGroup(root)
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}")
	root.Flags().Bool("version", false, "print version, Go version and platform")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelpCommand())
	root.AddCommand(newServeCommand(environ), newConfigCommand(environ), newVersionCommand(),
		newStatusCommand(environ), newSharesCommand(environ), newClientsCommand(environ), newGCCommand(environ),
		newBackupCommand(environ), newRestoreCommand(environ), newFsckCommand(environ), newScrubCommand(environ),
		newCompletionCommand(), newManCommand())
	return root
}

// makeGroup makes cmd a group of commands: alone it prints its help, and an
// unknown command is an error that names the nearest.
func makeGroup(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return outputFailure(cmd.Help()) }
	cmd.Args = noArguments
}

// versionText is what --version and the command print.
func versionText() string {
	return fmt.Sprintf("dittofs %s %s %s/%s\n", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, Go version and platform",
		Example: `  dittofs version`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), versionText())
			return outputFailure(err)
		},
	}
}

// outputFailure is a failure to write what was asked for, or nil.
func outputFailure(err error) error {
	if err == nil {
		return nil
	}
	return &failure{code: exitRuntime, err: fmt.Errorf("dittofs: %w", err)}
}

// defaultConfigFile is read when --config is not given.
const defaultConfigFile = "/etc/dittofs/config.yaml"

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", defaultConfigFile, "configuration `FILE`")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // the flag exists
}
