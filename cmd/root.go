// Package cmd is the composition root: it reads the settings, opens the adapters, wires them
// to the use cases and runs them as commands.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"contacts/config"
)

// The exit statuses of the process.
const (
	statusOK     = 0
	statusFailed = 1 // what was asked for could not be done
	statusUsage  = 2 // the command line or a setting has to be changed first
)

// How the heap is collected. What a process keeps is small, and what it allocates for each
// request much in comparison: letting the heap grow by more than the usual saves a tenth of
// the process's work, as long as there is room. Near the goal, in bytes, it is collected more
// often; it is no limit. GOGC and GOMEMLIMIT, where they are set, win.
const (
	heapGrowth = 300 // percent
	heapGoal   = 80 << 20
)

// Execute runs the command that the process was started with and returns its exit status. When
// ctx ends, a running command comes to its end gracefully.
func Execute(ctx context.Context) int {
	if before := debug.SetGCPercent(heapGrowth); before != 100 {
		debug.SetGCPercent(before) // GOGC says otherwise
	}
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // and GOMEMLIMIT nothing
		debug.SetMemoryLimit(heapGoal)
	}
	root := newRoot()
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return statusOK
	}
	var settings *config.Error
	var usage usageError
	switch {
	case errors.As(err, &settings):
		fmt.Fprintf(root.ErrOrStderr(), "%s: the settings cannot work:\n%v\n", command.CommandPath(), err)
		return statusUsage
	case errors.As(err, &usage):
		fmt.Fprintf(root.ErrOrStderr(), "%s: %v\nTry: %s --help\n", command.CommandPath(), err, command.CommandPath())
		return statusUsage
	}
	fmt.Fprintf(root.ErrOrStderr(), "%s: %v\n", command.CommandPath(), err)
	return statusFailed
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "contacts",
		Short:         "A contacts service that loses no accepted write and answers reads at memory speed",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	config.Flags(root.PersistentFlags())
	root.AddCommand(newServe(), newWorker(), newMigrate(), newKeys(), newSeed(), newHealthcheck())
	return root
}

// release is the version that the linker was given, where the build does not see the
// repository: as in the image's.
var release string

// version is the program's version: the release's, or the commit that it was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && !strings.HasPrefix(info.Main.Version, "v") {
			return setting.Value
		}
	}
	return info.Main.Version
}

// usage marks the errors of an arguments' check as such.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if err := check(command, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
