package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dittofs/dittofs/internal/fault"
	"github.com/dittofs/dittofs/internal/fsck"
	"github.com/dittofs/dittofs/internal/logging"
	"github.com/dittofs/dittofs/internal/meta"
	"github.com/dittofs/dittofs/internal/printable"
	"github.com/dittofs/dittofs/internal/server"
	"github.com/dittofs/dittofs/pkg/config"
)

// Exit codes of fsck and scrub beside those of every command.
const (
	exitFaults    = 1
	exitUnchecked = 3 // it could not be checked to the end
	exitRepaired  = 4
)

const checkHelp = `

If a server runs with the configuration, it does the work itself, over a snapshot
of its metadata, and serves on; what is in flight meanwhile is no fault. If none
runs, this command reads the stores as they were left and changes nothing: no
recovery, no new ownership. --socket and --admin ask a running server only.

With --output json each line is one JSON object: {"progress":...} now and then,
{"fault":...} and {"note":...} for what was found, {"repaired":...}, and at the
end {"summary":...}, whose "clean" says that no fault is left. Notes are of what
takes space and harms nobody. Of each kind --limit are shown, and all counted.`

func newFsckCommand(environ []string) *cobra.Command {
	c := &checkCommand{operation: "fsck", check: fsck.Check, environ: environ}
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check the filesystem, and name the files that lose bytes",
		Long: `Check the filesystem, and name the files that lose bytes: that names, inodes, link
counts and the tree of directories fit together; that usage and the live bytes of
segments agree with a recount; and that each extent of a file points at a whole
record of that file, in a segment that is where it should be. It lists what the
content store holds for nobody. The bytes themselves are read by dittofs scrub.` + checkHelp + `

--repair mends what loses nothing, while no server runs: a name that leads
nowhere goes; a file or directory to which no name leads is put into lost+found
at the top of its share as "#" and its inode's number, and so is one directory of
a ring; counts are set to a recount. Bytes that are missing stay missing: reading
them stays an error, and never gives zeros, until the file is removed or those
bytes are written again, as any client can. Make a copy of the metadata first, or
a dittofs backup.

Exit codes: 0 no fault; 1 faults were found, or are left after --repair; 2 the
command line or the configuration is wrong; 3 it could not be checked to the end;
4 all faults that were found have been repaired.`,
		Example: `  dittofs fsck --config config.yaml

  # which files lose bytes?
  dittofs fsck --output json --limit 0 | jq -r 'select(.fault.length) | .fault.path'

  # mend what can be mended
  dittofs fsck --repair --config config.yaml`,
		Args: noArguments,
		RunE: c.run,
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&c.repair, "repair", false, "mend what loses nothing, while no server runs")
	cmd.MarkFlagsMutuallyExclusive("repair", "socket")
	cmd.MarkFlagsMutuallyExclusive("repair", "admin")
	return cmd
}

func newScrubCommand(environ []string) *cobra.Command {
	c := &checkCommand{operation: "scrub", check: fsck.Scrub, environ: environ}
	cmd := &cobra.Command{
		Use:   "scrub",
		Short: "Read all stored data and verify its checksums",
		Long: `Read all stored data and verify its checksums, at no more than a rate: every page
of every sealed segment, in the content store and in the cache, and the headers of
its records. What is damaged is reported with the ranges and with the paths of
the files that lose bytes by it; a fault that costs no file, but perhaps a backup,
says so. It changes nothing.` + checkHelp + `

Exit codes: 0 no fault; 1 faults were found; 2 the command line or the
configuration is wrong; 3 it could not be checked to the end.`,
		Example: `  # in the background of a running server
  dittofs scrub --rate 50MiB --config config.yaml`,
		Args: noArguments,
		RunE: c.run,
	}
	c.flags(cmd)
	cmd.Flags().Var(&c.rate, "rate",
		"read at most `SIZE` a second: 50MiB for 50 MiB/s, a number alone for bytes/s; 0 for no bound")
	return cmd
}

// checkCommand is fsck or scrub.
type checkCommand struct {
	operation string
	check     func(ctx context.Context, o fsck.Options, emit func(fsck.Line) error) (fsck.Summary, error)
	environ   []string
	server    target
	output    format
	limit     int
	rate      rate
	repair    bool
}

// rate is a size in each second, written as sizes are: 50MiB, or 50MiB/s.
type rate config.Size

// String implements pflag.Value.
func (r *rate) String() string { return config.Size(*r).String() }

// Type implements pflag.Value.
func (r *rate) Type() string { return "SIZE" }

// Set implements pflag.Value.
func (r *rate) Set(text string) error {
	return (*config.Size)(r).UnmarshalText([]byte(strings.TrimSuffix(text, "/s")))
}

func (c *checkCommand) flags(cmd *cobra.Command) {
	targetFlags(cmd, &c.server)
	outputFlag(cmd, &c.output)
	cmd.Flags().IntVar(&c.limit, "limit", 100, "show `N` findings of each kind; 0 for all")
}

func (c *checkCommand) run(cmd *cobra.Command, _ []string) error {
	if c.limit < 0 {
		return configFailure(errors.New("dittofs: --limit is 0 or more"))
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &checkPrinter{
		output: c.output, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(),
		bar: newProgressLine(cmd.ErrOrStderr(), c.output), scrub: c.operation == "scrub",
	}
	err := c.online(ctx, p)
	var noServer *failure
	if c.repair || errors.As(err, &noServer) && noServer.code == exitUnreachable && c.server.admin == "" &&
		c.server.socket == "" && ctx.Err() == nil {
		err = c.offline(ctx, p)
	}
	p.bar.clear()
	if err != nil {
		return unchecked(err)
	}
	return p.verdict()
}

// online lets the running server do it.
func (c *checkCommand) online(ctx context.Context, p *checkPrinter) error {
	if c.repair {
		return nil
	}
	args := server.CheckArguments{Limit: c.limit, Rate: int64(c.rate)}
	return c.server.call(ctx, c.environ, c.operation, args, func(text json.RawMessage) error {
		var l fsck.Line
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		return p.print(l)
	})
}

// offline reads the stores of a server that does not run.
func (c *checkCommand) offline(ctx context.Context, p *checkPrinter) (err error) {
	cfg, _, err := loadConfig(c.server.file, c.environ)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{
		Level: slog.LevelError, ReplaceAttr: logging.PlainErrors,
	}))
	stores, err := server.OpenOffline(ctx, cfg, logger, c.repair)
	if err != nil {
		return c.explain(ctx, cfg, err)
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	o := stores.Check()
	o.Limit, o.Rate = c.limit, int64(c.rate)
	if c.repair {
		_, err = fsck.Repair(ctx, o, stores.Store, p.print)
	} else {
		_, err = c.check(ctx, o, p.print)
	}
	return err
}

// explain says what to do about stores that cannot be opened.
func (c *checkCommand) explain(ctx context.Context, cfg *config.Config, err error) error {
	switch {
	case errors.Is(err, server.ErrRunning) && c.repair:
		return fmt.Errorf("dittofs: a server is running, and nothing is repaired under it: stop it first, "+
			"or check it without --repair (%w)", err)
	case errors.Is(err, server.ErrRunning):
		for _, a := range server.Connect(ctx, cfg, slog.New(slog.DiscardHandler)) {
			if a.Err != nil { // a server that starts waits for it, and has no socket yet
				return fmt.Errorf("dittofs: the %s store cannot be used (%s): %w; a server has the other store open and "+
					"waits for it", a.Store, a.Place, a.Err)
			}
		}
		return fmt.Errorf("dittofs: a server is running with these stores, and does not answer at %s: "+
			"start this command where it runs, with its configuration and as its user, or give --socket, "+
			"or --admin and --token-file (%w)", cfg.ControlSocket(), err)
	case fault.Of(err) != nil:
		return fmt.Errorf("dittofs: %w", err)
	}
	var field interface{ ConfigField() string }
	if errors.As(err, &field) && !errors.Is(err, meta.ErrCorrupt) {
		return configFailure(err)
	}
	return fmt.Errorf("dittofs: %w", err)
}

// unchecked gives an error its exit code: what is not known to be right is not
// found to be wrong.
func unchecked(err error) error {
	var f *failure
	if errors.As(err, &f) && f.code != exitRuntime {
		return err
	}
	return &failure{code: exitUnchecked, err: err}
}

// checkPrinter shows the lines of a report.
type checkPrinter struct {
	output         format
	stdout, stderr io.Writer
	scrub          bool
	bar            *progressLine
	shown          map[string]int64
	repaired       int64
	summary        *fsck.Summary
}

func (p *checkPrinter) print(l fsck.Line) error {
	if l.Summary != nil {
		p.summary = l.Summary
	}
	if p.output == asJSON {
		text, err := json.Marshal(l)
		if err != nil {
			return outputFailure(err)
		}
		return printLine(p.stdout, text)
	}
	if l.Progress != nil {
		p.bar.show(progressText(*l.Progress))
		return nil
	}
	p.bar.clear()
	return outputFailure(p.text(l))
}

func (p *checkPrinter) text(l fsck.Line) (err error) {
	switch {
	case l.Repaired != nil:
		p.repaired++
		_, err = fmt.Fprintf(p.stdout, "repaired: %s\n", printable.Line(l.Repaired.String()))
	case l.Fault != nil:
		if p.shown == nil {
			p.shown = map[string]int64{}
		}
		p.shown[l.Fault.Kind]++
		_, err = fmt.Fprintf(p.stdout, "fault: %s\n", printable.Line(l.Fault.String()))
	case l.Note != nil:
		_, err = fmt.Fprintf(p.stdout, "note: %s\n", printable.Line(l.Note.String()))
	case l.Summary != nil:
		_, err = io.WriteString(p.stdout, summaryText(l.Summary, p.shown, p.repaired, p.scrub))
	}
	return err
}

// verdict is the exit code.
func (p *checkPrinter) verdict() error {
	switch s := p.summary; {
	case s == nil:
		return &failure{
			code: exitUnchecked, err: errors.New("dittofs: the report has no end; nothing is known of what was not read yet"),
		}
	case s.Faults > 0:
		return &failure{code: exitFaults, err: errors.New("faults were found"), reported: true}
	case s.Repaired > 0:
		return &failure{code: exitRepaired, err: errors.New("repaired"), reported: true}
	}
	return nil
}
