package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func newWorker() *cobra.Command {
	var createQueue bool
	worker := &cobra.Command{
		Use:   "worker",
		Short: "Apply accepted writes from the SQS queue to the database",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			settings, err := loadSettings(command)
			if err != nil {
				return err
			}
			if newBackend(settings).inProcess && !createQueue {
				fmt.Fprintln(command.OutOrStdout(), "Nothing to do: with queue.url embedded:// the worker runs within `contacts serve`.")
				return nil
			}
			a, err := openApp(command.Context(), settings, options{role: "worker", createQueue: createQueue, logTo: command.ErrOrStderr()})
			if err != nil {
				return err
			}
			err = a.work(command.Context())
			return errors.Join(err, a.close())
		},
	}
	addCreateQueue(worker, &createQueue)
	worker.AddCommand(newParked(), newPurge(), newRedrive())
	return worker
}

func addCreateQueue(command *cobra.Command, createQueue *bool) {
	command.Flags().BoolVar(createQueue, "create-queue", false,
		"make the SQS queue and its dead-letter queue first, where they are missing (for emulators and first use)")
}

// work consumes commands until the command's context ends.
func (a *app) work(ctx context.Context) error {
	admin, err := a.listenAdmin(ctx)
	if err != nil {
		return err
	}
	defer a.runBackground(ctx, true)()
	a.log.InfoContext(ctx, "worker is running", "admin", "http://"+admin.Addr())
	return admin.Serve(ctx)
}
