// Command contacts is a contacts service: see README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"contacts/cmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cmd.Execute(ctx)
	stop()
	os.Exit(status)
}
