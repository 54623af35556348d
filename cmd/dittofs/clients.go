package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/report"
)

func newClientsCommand(environ []string) *cobra.Command {
	var (
		server target
		output format
	)
	cmd := &cobra.Command{
		Use:   "clients",
		Short: "List who is connected to a running server",
		Long: `List who is connected to a running server: each address with its connections,
the calls and bytes of those, how long it has been silent, and what it has
mounted. NFS version 3 clients tell when they mount and unmount, and nothing
when they die, so an address without connections may be gone for good; one that
stayed mounted while the server was restarted does not tell again.

With --output json it is one array of objects, with each connection.` + controlHelp,
		Example: `  dittofs clients

  # the addresses that are connected now
  dittofs clients --output json | jq -r '.[] | select(.connections != []) | .address'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := []report.Client{}
			err := server.call(cmd.Context(), environ, "clients", struct{}{}, func(line json.RawMessage) error {
				var c report.Client
				if err := json.Unmarshal(line, &c); err != nil {
					return err
				}
				list = append(list, c)
				return nil
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), clientsTable(list))
			return outputFailure(err)
		},
	}
	targetFlags(cmd, &server)
	outputFlag(cmd, &output)
	return cmd
}

func clientsTable(list []report.Client) *table {
	t := newTable("CLIENT", ">CONNECTIONS", ">CALLS", ">IN", ">OUT", ">IDLE", "MOUNTED")
	for _, c := range list {
		var calls, in, out uint64
		idle := report.Seconds(math.Inf(1)) // of the connection that spoke last
		for _, conn := range c.Connections {
			calls, in, out = calls+conn.Calls, in+conn.InBytes, out+conn.OutBytes
			idle = min(idle, conn.Idle)
		}
		silent := "-"
		if len(c.Connections) > 0 {
			silent = ageText(idle)
		}
		t.row(c.Address, fmt.Sprint(len(c.Connections)), fmt.Sprint(calls), bytesText(in), bytesText(out), silent,
			mountsText(c.Mounts))
	}
	return t
}

// mountsText lists what a client has mounted; a path cannot pass for two.
func mountsText(mounts []string) string {
	if len(mounts) == 0 {
		return "-"
	}
	var words []string
	for _, m := range mounts {
		words = append(words, printable.Word(m))
	}
	return strings.Join(words, ", ")
}
