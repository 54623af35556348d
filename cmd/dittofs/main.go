// Command dittofs is the file server and its tools. It only reads the command
// line, the configuration and signals; package server does the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dittofs/dittofs/internal/printable"
)

// Exit codes.
const (
	exitOK      = 0
	exitRuntime = 1 // something failed while running
	exitConfig  = 2 // the command line or the configuration is wrong; nothing was touched

	exitUnreachable = 3 // no running server can be reached, or it refuses this user
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(args, environ []string, stdout, stderr io.Writer) int {
	root := newRootCommand(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return exitOK
	}
	var failure *failure
	if !errors.As(err, &failure) { // from cobra: the command line is wrong
		fmt.Fprintf(stderr, "dittofs: %s; see %s --help\n", printable.Line(err.Error()), cmd.CommandPath())
		return exitConfig
	}
	if !failure.reported {
		fmt.Fprintln(stderr, printable.Lines(failure.err.Error()))
	}
	return failure.code
}

// failure is an error with its exit code.
type failure struct {
	code     int
	err      error
	reported bool // the log has it
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// configFailure is an error of the configuration.
func configFailure(err error) error { return &failure{code: exitConfig, err: err} }
