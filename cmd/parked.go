package cmd

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"contacts/contacts"
	"contacts/platform/queue"
)

// maxListed is how many parked commands are listed, and counted for the metrics.
const maxListed = 1000

func newParked() *cobra.Command {
	parked := &cobra.Command{
		Use:   "parked",
		Short: "Look after commands that could be neither applied nor read, and were set aside",
		Args:  usage(cobra.NoArgs),
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	parked.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List them, the latest first, without people's data", Args: usage(cobra.NoArgs),
			RunE: func(command *cobra.Command, _ []string) error {
				return withApp(command, func(ctx context.Context, a *app) error { return a.listParked(ctx, command) })
			},
		},
		parkedCommand("show ID", "Show one, with the people's data in it", func(ctx context.Context, command *cobra.Command, a *app, id uuid.UUID) error {
			return a.operate(ctx, "show-parked", id, func(_ context.Context, parked contacts.ParkedCommand) error {
				fmt.Fprintf(command.OutOrStdout(), "id        %s\ntenant    %s\ngroup     %s\nattempts  %d\nparked    %s\nreason    %s\n\n%s\n", parked.ID, parked.Tenant,
					parked.Group, parked.Attempts, parked.ParkedAt.Format(time.RFC3339), parked.Reason, parked.Body)
				return nil
			})
		}),
		parkedCommand("replay ID", "Send one again, behind what its contact has been sent since", func(ctx context.Context, _ *cobra.Command, a *app, id uuid.UUID) error {
			return a.operate(ctx, "replay-parked", id, a.replay)
		}),
		parkedCommand("discard ID", "Remove one for good; its operation stays failed", func(ctx context.Context, _ *cobra.Command, a *app, id uuid.UUID) error {
			return a.operate(ctx, "discard-parked", id, func(ctx context.Context, parked contacts.ParkedCommand) error {
				return a.parking.Discard(ctx, parked.ID)
			})
		}),
	)
	return parked
}

// parkedCommand returns a command about one parked command.
func parkedCommand(use, short string, do func(context.Context, *cobra.Command, *app, uuid.UUID) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: usage(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return usageError{errors.New("expected ID to be one of those that `contacts worker parked list` shows")}
			}
			return withApp(command, func(ctx context.Context, a *app) error { return do(ctx, command, a, id) })
		},
	}
}

// withApp opens an app for a command that only needs it for a moment.
func withApp(command *cobra.Command, do func(context.Context, *app) error) error {
	settings, err := loadSettings(command)
	if err != nil {
		return err
	}
	a, err := openApp(command.Context(), settings, options{role: command.Name(), logTo: command.ErrOrStderr()})
	if err != nil {
		return err
	}
	return errors.Join(do(command.Context(), a), a.close())
}

func (a *app) listParked(ctx context.Context, command *cobra.Command) error {
	parked, err := a.parking.Parked(ctx, maxListed)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tPARKED\tATTEMPTS\tTENANT\tREASON")
	for _, p := range parked {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", p.ID, p.ParkedAt.Format(time.RFC3339), p.Attempts, p.Tenant, p.Reason)
	}
	return table.Flush()
}

// replay sends a parked command again. Interrupted anywhere it can be repeated: the command
// stays parked until it is in the queue, and the operation is the fence against doing it
// twice.
func (a *app) replay(ctx context.Context, parked contacts.ParkedCommand) error {
	ended, err := a.parking.Reopen(ctx, parked.ID)
	if err != nil {
		return err
	}
	// A deduplication id of its own: the queue may still remember the first one.
	err = a.queue.Send(ctx, queue.Message{Group: parked.Group, DeduplicationID: uuid.NewString(), Body: parked.Body})
	if err != nil {
		// The end that parking gave it comes back, unless it has got another one meanwhile.
		_, parkErr := a.parking.Park(ctx, parked, ended)
		err = errors.Join(err, parkErr)
		return fmt.Errorf("send it again; it is still parked: %w", err)
	}
	err = a.parking.Discard(ctx, parked.ID)
	if contacts.IsKind(err, contacts.KindNotFound) {
		return nil // another operator has, at the same time
	}
	return err
}
