// Command crash breaks the service again and again while callers use it, and checks that it
// kept its promises:
//
//	go run ./test/crash -mode production -kills 200 -writes 100000
//
// It builds the binary and starts it with servers of its own: two serve and two worker
// processes with PostgreSQL, Redis and the SQS emulator, or one serve process in the embedded
// mode. Callers create, patch, replace, delete and read contacts through the API while
// processes and servers are killed, terminated, frozen and started again. Once everything has
// settled, what callers asked and were told is compared with what the service holds. It exits
// with 1 on a violation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"contacts/test/servers"
	"contacts/test/system"
)

func main() {
	runtime.LockOSThread() // for EndWithParent
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var options Options
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	mode := flags.String("mode", "", "production or embedded; both, one after the other, where it is not given")
	flags.IntVar(&options.Kills, "kills", 20, "how often something is killed; terminations and freezes come in addition")
	flags.IntVar(&options.Writes, "writes", 5000, "how many writes are to be acknowledged; 0: no matter")
	flags.Uint64Var(&options.Seed, "seed", uint64(time.Now().Unix()), "draws the schedule of faults and the callers' choices")
	flags.DurationVar(&options.Duration, "duration", 0, "ends the load earlier; 0: only the writes do")
	flags.StringVar(&options.Script, "script", "", `faults that are told instead of drawn, such as "kill postgres 30s"; says how calls fared meanwhile`)
	flags.StringVar(&options.Sabotage, "sabotage", "", "negative control: what the service is to fail in, see cmd/sabotage.go; it has to be found")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if options.Script != "" && *mode == "" {
		return errors.New("-script needs a -mode (make crash MODE=production): what it names runs in one of them only")
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := errors.Join(servers.EndWithParent(), servers.Install(ctx, os.Stderr)); err != nil {
		return err
	}
	modes := []system.Mode{system.Mode(*mode)}
	if *mode == "" {
		modes = []system.Mode{system.Production, system.Embedded}
	}
	for _, options.Mode = range modes {
		folder, err := os.MkdirTemp("", "contacts-crash-")
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "crash: %s, %d kills, seed %d\n", options.Mode, options.Kills, options.Seed)
		report, err := Run(ctx, options, folder)
		if err == nil {
			err = report.Print(os.Stdout)
		}
		if err != nil {
			return fmt.Errorf("%w (the history and the logs are in %s)", err, folder)
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}
