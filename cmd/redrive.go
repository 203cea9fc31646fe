package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"contacts/platform/queue"
	"contacts/platform/queue/sqs"
)

func newRedrive() *cobra.Command {
	return &cobra.Command{
		Use:   "redrive",
		Short: "Send what is in the dead-letter queue again; may be interrupted and repeated",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			return withApp(command, func(ctx context.Context, a *app) error {
				if a.settings.Embedded() {
					return usageError{errors.New("the embedded queue has no dead-letter queue: see `contacts worker parked`")}
				}
				dead, err := sqs.Open(ctx, sqs.Options{URL: sqs.DeadLetterURL(a.settings.Queue.URL), Visibility: a.visibility()})
				if err != nil {
					return err
				}
				moved, err := redrive(ctx, dead, a.queue)
				fmt.Fprintf(command.OutOrStdout(), "%d messages sent again\n", moved)
				return errors.Join(err, dead.Close(ctx))
			})
		},
	}
}

// redrive moves messages, in order within their groups, until there are none. One that is sent and not yet deleted when it
// is interrupted is sent again the next time, and then changes nothing: its operation is the fence.
func redrive(ctx context.Context, from, to queue.Queue) (moved int, err error) {
	for {
		deliveries, err := from.Receive(ctx, 10, time.Second)
		if err != nil || len(deliveries) == 0 {
			return moved, err
		}
		for _, delivery := range deliveries {
			sum := sha256.Sum256(delivery.Body)
			err := to.Send(ctx, queue.Message{
				Group: delivery.Group, DeduplicationID: "redrive-" + hex.EncodeToString(sum[:16]), Body: delivery.Body,
			})
			if err == nil {
				err = from.Delete(ctx, delivery.Receipt)
			}
			if err != nil {
				return moved, fmt.Errorf("after %d messages: %w", moved, err)
			}
			moved++
		}
	}
}
