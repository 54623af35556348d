package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dittofs/dittofs/pkg/version"
)

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write a manual page for every command into a directory",
		Long: `Write a manual page for every command into a directory, which is made if it is
not there: dittofs.1, dittofs-serve.1 and so on, from the same text as --help.`,
		Example: `  dittofs man /usr/local/share/man/man1
  man dittofs-status`,
		Args: oneArgument("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return outputFailure(writeManual(cmd.Root(), args[0]))
		},
	}
}

// writeManual writes the pages of cmd and of all below it.
func writeManual(cmd *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range commands(cmd) {
		if err := os.WriteFile(filepath.Join(dir, manName(c)+".1"), []byte(manPage(c)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commands are cmd and all below it that are for people.
func commands(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			list = append(list, commands(c)...)
		}
	}
	return list
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage renders a page in the man macros (man(7)).
func manPage(cmd *cobra.Command) string {
	var p strings.Builder
	name := manName(cmd)
	fmt.Fprintf(&p, ".TH %q 1 \"\" \"DittoFS %s\" \"User Commands\"\n", strings.ToUpper(name), version.String())
	fmt.Fprintf(&p, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	use := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		use = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&p, ".SH SYNOPSIS\n.B %s\n", roff(use))
	text, exit := splitExit(cmd.Long)
	if text == "" {
		text = cmd.Short + "."
	}
	p.WriteString(".SH DESCRIPTION\n" + paragraphs(text))
	if cmd.HasAvailableSubCommands() {
		p.WriteString(".SH COMMANDS\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.Name() != "help" {
				fmt.Fprintf(&p, ".TP\n.BR %s (1)\n%s\n", roff(manName(c)), roff(c.Short))
			}
		}
	}
	p.WriteString(options(cmd))
	if exit != "" {
		p.WriteString(".SH EXIT STATUS\n" + paragraphs(exit))
	}
	if cmd.Example != "" {
		p.WriteString(".SH EXAMPLES\n.nf\n" + roff(strings.TrimRight(cmd.Example, "\n")) + "\n.fi\n")
	}
	return p.String() + seeAlso(cmd)
}

// splitExit takes the paragraph of exit codes out of a long help.
func splitExit(long string) (text, exit string) {
	const mark = "Exit codes: "
	if i := strings.Index(long, mark); i >= 0 && (i == 0 || long[i-1] == '\n') {
		exit, after, _ := strings.Cut(long[i+len(mark):], "\n\n")
		return strings.TrimSpace(long[:i] + after), exit
	}
	return long, ""
}

func options(cmd *cobra.Command) string {
	var p strings.Builder
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		names := `\fB` + roff("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			names = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + names
		}
		if value != "" {
			names += ` \fI` + roff(value) + `\fR`
		}
		if f.DefValue != "" && f.DefValue != "false" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(&p, ".TP\n%s\n%s\n", names, roff(usage))
	})
	if p.Len() == 0 {
		return ""
	}
	return ".SH OPTIONS\n" + p.String()
}

func seeAlso(cmd *cobra.Command) string {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, manName(cmd.Parent()))
		for _, c := range cmd.Parent().Commands() {
			if c != cmd && c.IsAvailableCommand() && c.Name() != "help" {
				pages = append(pages, manName(c))
			}
		}
	}
	if len(pages) == 0 {
		return ""
	}
	for i, page := range pages {
		pages[i] = `\fB` + roff(page) + `\fR(1)`
	}
	return ".SH SEE ALSO\n" + strings.Join(pages, ",\n") + "\n"
}

// paragraphs renders text whose paragraphs are parted by empty lines.
func paragraphs(text string) string {
	return roff(strings.ReplaceAll(strings.TrimSpace(text), "\n\n", "\n.PP\n"), ".PP") + "\n"
}

// roff escapes text. Lines that are a request stay.
func roff(text string, requests ...string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if slices.Contains(requests, line) {
			continue
		}
		line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`).Replace(line)
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}
