package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/report"
	"github.com/dittofs/dittofs/pkg/config"
)

func newSharesCommand(environ []string) *cobra.Command {
	var (
		server target
		output format
	)
	cmd := &cobra.Command{
		Use:   "shares [NAME...]",
		Short: "List the shares of a running server and what they hold",
		Long: `List the shares of a running server and what they hold: the path that clients
mount, who may use it how, and bytes and inodes with their quota. All shares,
unless some are named. Bytes are those that are stored; holes do not count.

With --output json it is one array of objects.` + controlHelp,
		Example: `  dittofs shares

  # how full is it?
  dittofs shares export --output json | jq '.[0].bytes'`,
		RunE: func(cmd *cobra.Command, names []string) error {
			list := []report.Share{}
			err := server.call(cmd.Context(), environ, "shares", struct{}{}, func(line json.RawMessage) error {
				var s report.Share
				if err := json.Unmarshal(line, &s); err != nil {
					return err
				}
				list = append(list, s)
				return nil
			})
			if err != nil {
				return err
			}
			if list, err = named(list, names); err != nil {
				return err
			}
			if output == asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), sharesTable(list))
			return outputFailure(err)
		},
		ValidArgsFunction: func(_ *cobra.Command, before []string, _ string) ([]string, cobra.ShellCompDirective) {
			return shareNames(server.file, environ, before), cobra.ShellCompDirectiveNoFileComp
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	cmd.AddCommand(newSetRootCommand(environ))
	return cmd
}

// named are the shares of the names, or all if there are none.
func named(list []report.Share, names []string) ([]report.Share, error) {
	if len(names) == 0 {
		return list, nil
	}
	out := []report.Share{}
	for _, name := range names {
		i := slices.IndexFunc(list, func(s report.Share) bool { return s.Name == name })
		if i < 0 {
			var known []string
			for _, s := range list {
				known = append(known, s.Name)
			}
			return nil, &failure{
				code: exitRuntime, err: fmt.Errorf("dittofs: the server has no share %q; it has %s",
					name, strings.Join(known, ", ")),
			}
		}
		out = append(out, list[i])
	}
	return out, nil
}

// shareNames completes with the configuration: no server needs to run for it.
func shareNames(file string, environ, before []string) (names []string) {
	cfg, _, err := loadConfig(file, environ)
	if err != nil {
		return nil
	}
	for _, s := range cfg.Shares {
		if !slices.Contains(before, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

func sharesTable(list []report.Share) *table {
	t := newTable("SHARE", "PATH", "CLIENTS", ">MOUNTED", ">BYTES", ">OF", ">INODES", ">OF")
	quota := func(n int64, text string) string {
		if n == 0 {
			return "-"
		}
		return text
	}
	for _, s := range list {
		t.row(s.Name, s.Path, accessText(s), fmt.Sprint(s.Mounted), bytesText(s.Bytes.Used),
			quota(s.Bytes.Quota, bytesText(s.Bytes.Quota)),
			fmt.Sprint(s.Inodes.Used), quota(s.Inodes.Quota, fmt.Sprint(s.Inodes.Quota)))
	}
	return t
}

// accessText says who may do what in a few words.
func accessText(s report.Share) string {
	var words []string
	for _, c := range s.Clients {
		access := c.Access
		if s.ReadOnly {
			access = string(config.AccessReadOnly)
		}
		if c.Secure {
			access += " secure"
		}
		words = append(words, c.CIDR+" "+access)
	}
	if len(words) == 2 && strings.HasPrefix(words[0], "0.0.0.0/0 ") &&
		words[1] == "::/0"+strings.TrimPrefix(words[0], "0.0.0.0/0") {
		return "all" + strings.TrimPrefix(words[0], "0.0.0.0/0")
	}
	if len(words) > 2 {
		return fmt.Sprintf("%s and %d more", words[0], len(words)-1)
	}
	return strings.Join(words, ", ")
}
