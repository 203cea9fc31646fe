// Command speed measures the service, beside a bare handler and, if told to, beside an older
// commit:
//
//	go run ./test/speed -baseline COMMIT
//
// It builds the binaries, runs each with real servers of its own in both modes, measures them
// in turn, and prints tables in Markdown, and JSON where -json names a file. What counts are
// the ratios: all figures of a run come from the same machine at about the same time. See
// docs/performance.md for what each row means.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"contacts/test/servers"
	"contacts/test/system"
)

func main() {
	runtime.LockOSThread() // for EndWithParent
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("speed", flag.ContinueOnError)
	bare := flags.String("bare", "", "internal: serve the body of -answer from a bare handler at this address, and nothing else")
	answer := flags.String("answer", "", "internal: see -bare")
	var o sizes
	flags.IntVar(&o.rows, "rows", 100_000, "how many contacts are written first, which pages and uncached reads are of")
	flags.IntVar(&o.writes, "writes", 20_000, "how many contacts a round of writes has")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each figure is measured; the median counts")
	flags.DurationVar(&o.period, "period", 1500*time.Millisecond, "how long a round of reads takes")
	flags.DurationVar(&o.soak, "soak", 20*time.Second, "how long memory is watched under full load")
	flags.StringVar(&o.profiles, "profiles", "", "a folder for profiles of the service's processes at work")
	o.steps = regexp.MustCompile("")
	flags.Func("steps", "a regular expression: only steps with such a name are measured", func(text string) (err error) {
		o.steps, err = regexp.Compile(text)
		return err
	})
	baseline := flags.String("baseline", "", "a commit to build, and to measure in turn with the code as it is")
	only := flags.String("mode", "", "production or embedded; both where it is not given")
	file := flags.String("json", "", "a file for the figures as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := servers.EndWithParent(); err != nil {
		return err
	}
	if *bare != "" {
		return serveBare(ctx, *bare, []byte(*answer))
	}
	if err := servers.Install(ctx, os.Stderr); err != nil {
		return err
	}
	var reports []report
	for _, mode := range []system.Mode{system.Production, system.Embedded} {
		if *only != "" && *only != string(mode) {
			continue
		}
		r, err := measure(ctx, mode, *baseline, o)
		if err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
		reports = append(reports, r)
		r.print(os.Stdout)
	}
	if len(reports) == 0 {
		return errors.New("-mode: expected production or embedded")
	}
	if *file == "" {
		return nil
	}
	content, err := json.MarshalIndent(reports, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(content, '\n'), 0o600)
}
