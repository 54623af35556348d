package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// shells are those whose completion can be printed.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
}

func newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the completion script of a shell",
		Long: `Print the completion script of a shell: with it, the tab key completes commands,
flags, configuration files and, after "dittofs shares", the names of shares in
the configuration.

bash needs the package bash-completion, zsh a line "autoload -U compinit;
compinit" in ~/.zshrc.`,
		Example: `  # bash: for this shell, and for all
  source <(dittofs completion bash)
  dittofs completion bash > /etc/bash_completion.d/dittofs

  # zsh: into a directory of $fpath
  dittofs completion zsh > "${fpath[1]}/_dittofs"

  # fish
  dittofs completion fish > ~/.config/fish/completions/dittofs.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      cobra.MatchAll(oneArgument("bash, zsh or fish"), knownShell),
		RunE: func(cmd *cobra.Command, args []string) error {
			return outputFailure(shells[args[0]](cmd.Root(), cmd.OutOrStdout()))
		},
	}
}

func knownShell(_ *cobra.Command, args []string) error {
	if shells[args[0]] == nil {
		return fmt.Errorf("the completion of %q is not known; choose bash, zsh or fish", args[0])
	}
	return nil
}
