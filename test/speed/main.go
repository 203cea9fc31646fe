// Command speed measures the service beside the limits of the machine it runs on:
//
//	go run ./test/speed -rows 1000000
//
// It builds the binary, runs it with real servers of its own in both modes, and prints a table in Markdown, and as JSON where
// -json names a file. What counts are the ratios: all figures of a run come from the same machine at about the same time. See
// docs/performance.md for what bounds each.
package main

import (
	"context"
	"encoding/json"
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
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("speed", flag.ContinueOnError)
	bare := flags.String("bare", "", "internal: serve the body of -answer from a bare handler at this address, and nothing else")
	answer := flags.String("answer", "", "internal: see -bare")
	var o sizes
	flags.IntVar(&o.rows, "rows", 1_000_000, "how many contacts the largest table has that pages are read from; 10000 and 100000 are measured as well")
	flags.IntVar(&o.writes, "writes", 20_000, "how many contacts are written end to end")
	flags.DurationVar(&o.soak, "soak", time.Minute, "how long memory is watched under full load")
	flags.StringVar(&o.profiles, "profiles", "", "a folder for profiles of the service's processes at work")
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
	var tables []table
	for _, mode := range []system.Mode{system.Production, system.Embedded} {
		if *only != "" && *only != string(mode) {
			continue
		}
		t, err := measure(ctx, mode, o)
		if err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
		tables = append(tables, t)
		t.print(os.Stdout)
	}
	if len(tables) == 0 {
		return errors.New("-mode: expected production or embedded")
	}
	if *file == "" {
		return nil
	}
	content, err := json.MarshalIndent(tables, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(content, '\n'), 0o600)
}
