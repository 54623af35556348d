// Command chaos lets verifying clients write to a real server over NFS while everything below them fails at random: the
// server is killed and stopped, its S3 server, its database and its disk go away and come back, its clock jumps.
// Everything that was acknowledged as stable is verified all the time, and at last from a fresh start.
//
//	chaos [-minutes M] [-seed S] [-stores LIST] [-faults LIST]
//
// The minutes are shared by the combinations of stores. The last line of each tells the minutes, the faults by kind,
// the operations, the bytes verified, and what was lost or wrong. The exit code is 1 if anything was.
//
// It needs root, to mount a small disk in a mount namespace of its own. Servers listen on loopback, and end with it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/dittofs/dittofs/test/process"
)

var (
	minutes = flag.Float64("minutes", 5, "how long, in all")
	seed    = flag.Uint64("seed", 0, "of the choices (0: another one each time)")
	stores  = flag.String("stores", "pebble+filesystem,pebble+s3,postgres+s3,postgres+s3+remote,pebble+s3+remote",
		"combinations: METADATA+CONTENT[+remote]")
	kinds  = flag.String("faults", "", "only faults whose name begins with one of these, by commas")
	clocks = flag.Bool("clock", true, "build the server with a clock that can jump: the first time, "+
		"all that it is made of is compiled again")
	workers = flag.Int("workers", 6, "clients that write; half as many read besides")
	verbose = flag.Bool("v", false, "tell each fault")
)

// inNamespace is set in the process that has a mount namespace of its own.
const inNamespace = "CHAOS_NAMESPACE"

func main() {
	flag.Parse()
	run := inOwnNamespace
	if os.Getenv(inNamespace) != "" {
		run = chaos
	}
	if err := run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) { // it has told why
			fmt.Fprintln(os.Stderr, "chaos:", err)
		}
		os.Exit(1)
	}
}

// inOwnNamespace runs this program in a mount namespace of its own.
func inOwnNamespace() error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("a mount namespace (this needs root): %w", err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	return cmd.Wait()
}

func chaos() error {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// The database's user must come through.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	var flags []string
	if *clocks {
		flag, err := clockOverlay()
		if err != nil {
			return err
		}
		flags = append(flags, flag)
	}
	fmt.Printf("chaos: seed %d\n", *seed)
	binary, err := process.Build(dir, flags...)
	if err != nil {
		return err
	}
	var errs []error
	combinations := strings.Split(*stores, ",")
	for i, name := range combinations {
		c, err := newCombination(name)
		if err != nil {
			return err
		}
		length := time.Duration(*minutes * float64(time.Minute) / float64(len(combinations)))
		if err := c.run(binary, fmt.Sprintf("%s/%d", dir, i), *seed+uint64(i), length); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w (seed %d)", name, err, *seed))
		}
	}
	return errors.Join(errs...)
}
