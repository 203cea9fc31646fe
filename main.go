// Command contacts is a contacts service: see README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"contacts/cmd"
)

// grace is how long the process takes at the most to come to its end when it is asked to.
const grace = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the process at once
		time.AfterFunc(grace, func() {
			fmt.Fprintf(os.Stderr, "contacts: not at its end %s after it was asked to: what is accepted is safe, and done later\n", grace)
			os.Exit(1)
		})
	})
	os.Exit(cmd.Execute(ctx))
}
