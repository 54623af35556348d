package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dittofs/dittofs/internal/nearest"
	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/pkg/config"
)

// noArguments refuses arguments, and says what the first may have been meant as.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return unknownCommand(cmd, args[0])
	case cmd.Flags().Lookup("config") != nil && isConfigFile(args[0]):
		return fmt.Errorf("%s takes no arguments; did you mean --config %s?", cmd.CommandPath(), shown(args[0]))
	}
	return fmt.Errorf("%s takes no arguments, but %q was given", cmd.CommandPath(), args[0])
}

func isConfigFile(name string) bool {
	_, err := os.Stat(name)
	return err == nil || slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// oneArgument asks for the one that is named.
func oneArgument(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s takes one argument, %s, and got %d", cmd.CommandPath(), name, len(args))
		}
		return nil
	}
}

// unknownCommand names the command of the group that is most like name.
func unknownCommand(group *cobra.Command, name string) error {
	var names []string
	for _, c := range group.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return unknown("command", name, "", names)
}

// flagError names the flag that is most like an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	var none *pflag.NotExistError
	if !errors.As(err, &none) || len(none.GetSpecifiedName()) == 1 {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return unknown("flag", none.GetSpecifiedName(), "--", names)
}

func unknown(what, name, dashes string, known []string) error {
	near := nearest.Name(name, known)
	for _, k := range known {
		if near == "" && len(name) > 1 && strings.HasPrefix(k, name) {
			near = k
		}
	}
	if near == "" {
		return fmt.Errorf("unknown %s %q", what, dashes+name)
	}
	return fmt.Errorf("unknown %s %q (did you mean %s?)", what, dashes+name, dashes+near)
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]...",
		Short: "Show what a command does and how it is used",
		Example: `  dittofs help serve
  dittofs help backup list`,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(found, rest[0])
			}
			found.InitDefaultHelpFlag()
			return outputFailure(found.Help())
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, c := range found.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// loadConfig is config.Load for a command: the error has its exit code, and one
// about a file that is not there says how to come by it.
func loadConfig(file string, environ []string) (*config.Config, config.Warnings, error) {
	cfg, warnings, err := config.Load(file, environ)
	switch {
	case err == nil:
		return cfg, warnings, nil
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("there is no configuration file %s: name yours with --config FILE, or write one with: "+
			"dittofs config default > FILE", shown(file))
	}
	return nil, nil, configFailure(err)
}

// shown is a name from the command line in a sentence.
func shown(name string) string { return printable.Word(printable.Text(name)) }
