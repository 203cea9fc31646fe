package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"contacts/platform/queue"
)

func newRedrive() *cobra.Command {
	return &cobra.Command{
		Use:   "redrive",
		Short: "Send what is in the dead-letter queue again; may be interrupted and repeated",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			return withApp(command, func(ctx context.Context, a *app) error {
				if a.backend.deadLetters == nil {
					return usageError{errors.New("the embedded queue has no dead-letter queue: see `contacts worker parked`")}
				}
				dead, err := a.backend.deadLetters(ctx, a)
				if err != nil {
					return err
				}
				moved, err := redrive(ctx, dead, a.queue)
				event := operated("redrive", err)
				event.Messages = moved
				event.Log(ctx, a.audit)
				fmt.Fprintf(command.OutOrStdout(), "%d messages sent again\n", moved)
				return err
			})
		},
	}
}

// redrive moves messages, in order within their groups, until there are none. One that is sent
// and not yet deleted when it is interrupted is sent again the next time, and then changes
// nothing: its operation is the fence.
func redrive(ctx context.Context, from, to queue.Queue) (moved int, err error) {
	for {
		deliveries, err := from.Receive(ctx, 10, time.Second)
		if err != nil || len(deliveries) == 0 {
			return moved, err
		}
		for i, delivery := range deliveries {
			// A deduplication id of its own: the queue may remember one that it was sent under
			// before, and would drop it.
			err := to.Send(ctx, queue.Message{Group: delivery.Group, DeduplicationID: uuid.NewString(), Body: delivery.Body})
			if err == nil {
				err = from.Delete(ctx, delivery.Receipt)
			}
			if err != nil {
				var rest []string
				for _, left := range deliveries[i:] {
					rest = append(rest, left.Receipt)
				}
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
				defer cancel()
				// Handed back, they are there for the next try at once.
				return moved, fmt.Errorf("after %d messages: %w", moved, errors.Join(err, from.Extend(ctx, 0, rest...)))
			}
			moved++
		}
	}
}
