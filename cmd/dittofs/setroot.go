package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/report"
)

func newSetRootCommand(environ []string) *cobra.Command {
	var (
		server   target
		output   format
		uid, gid uint32
		mode     string
	)
	cmd := &cobra.Command{
		Use:   "set-root SHARE",
		Short: "Change owner and mode of a share's top directory",
		Long: `Change owner and mode of a share's top directory on a running server, as root of a
client with squash none could. shares[].root of the configuration is for shares
that are made later. What no flag names stays as it is.` + controlHelp,
		Example: `  # let everybody write, as in /tmp
  dittofs shares set-root export --mode 1777

  dittofs shares set-root export --uid 1000 --gid 1000 --mode 0770`,
		Args: oneArgument("SHARE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			want := report.RootRequest{Share: args[0]}
			if cmd.Flags().Changed("uid") {
				want.UID = &uid
			}
			if cmd.Flags().Changed("gid") {
				want.GID = &gid
			}
			if cmd.Flags().Changed("mode") {
				want.Mode = &mode
			}
			if want == (report.RootRequest{Share: args[0]}) {
				return configFailure(errors.New("dittofs: nothing is to be changed: give --uid, --gid or --mode"))
			}
			return server.call(cmd.Context(), environ, "set-root", want, func(line json.RawMessage) error {
				var change report.RootChange
				if err := json.Unmarshal(line, &change); err != nil {
					return err
				}
				if output == asJSON {
					return printJSON(cmd.OutOrStdout(), change)
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "the top directory of %s was %s and is %s\n",
					change.Share, rootText(change.Before), rootText(change.After))
				return outputFailure(err)
			})
		},
		ValidArgsFunction: func(_ *cobra.Command, before []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(before) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return shareNames(server.file, environ, nil), cobra.ShellCompDirectiveNoFileComp
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	cmd.Flags().Uint32Var(&uid, "uid", 0, "`UID` of the owner")
	cmd.Flags().Uint32Var(&gid, "gid", 0, "`GID` of the group")
	cmd.Flags().StringVar(&mode, "mode", "", "`MODE` in octal, such as 0755 or 1777")
	return cmd
}

// rootText is owner and mode of a top directory for people: 0:0 0755.
func rootText(r report.Root) string { return fmt.Sprintf("%d:%d %s", r.UID, r.GID, r.Mode) }
