// Command run runs a command with a PostgreSQL, a Redis and an SQS emulator at its side, and
// exits with its status:
//
//	go run ./test/servers/run -- go test -race ./...
//
// The command finds the servers by the environment variables that package servers names. What
// is missing of them is installed first. On SIGINT and SIGTERM the command is ended, and the
// servers with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"contacts/test/servers"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: run -- COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	runtime.LockOSThread() // for EndWithParent
	status, err := run(context.Background(), args[0], args[1:]...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// run returns the command's status, and an error where the servers failed and not the command.
func run(ctx context.Context, name string, args ...string) (status int, err error) {
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := servers.EndWithParent(); err != nil {
		return 0, err
	}
	if err := servers.Install(ctx, os.Stderr); err != nil {
		return 0, err
	}
	beside, err := servers.Start(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, beside.Stop()) }()
	return beside.Run(ctx, name, args...)
}
