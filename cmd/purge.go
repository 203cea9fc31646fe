package cmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"contacts/contacts"
)

func newPurge() *cobra.Command {
	var confirmed bool
	purge := &cobra.Command{
		Use:   "purge",
		Short: "Show what is kept for longer than it should be, and remove it at once with --confirm",
		Long: "The worker removes old operations, changes, tombstones and marks of erasures by itself, but at most one in a hundred an hour, " +
			"so that a wrong clock does no great harm. This command shows what is due by this machine's clock, and removes it with --confirm.",
		Args: usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			return withApp(command, func(ctx context.Context, a *app) error {
				overdue, err := a.housekeeper.Overdue(ctx)
				if err != nil {
					return err
				}
				now := time.Now().UTC()
				fmt.Fprintf(command.OutOrStdout(), "By this clock it is %s.\n\n", now.Format(time.RFC3339))
				table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "KIND\tOLDER THAN\tDUE")
				for _, kind := range slices.Sorted(maps.Keys(overdue)) {
					fmt.Fprintf(table, "%s\t%s\t%d\n", kind, now.Add(-contacts.Pasts()[kind]).Format(time.RFC3339), overdue[kind])
				}
				if err := table.Flush(); err != nil {
					return err
				}
				if !confirmed {
					fmt.Fprintln(command.OutOrStdout(), "\nIf the time is right, repeat the command with --confirm to remove them.")
					return nil
				}
				removed, err := a.housekeeper.PurgeAll(ctx)
				operated("purge", err).Log(ctx, a.audit)
				fmt.Fprintf(command.OutOrStdout(), "\n%d rows removed.\n", removed)
				return err
			})
		},
	}
	purge.Flags().BoolVar(&confirmed, "confirm", false, "remove what is due")
	return purge
}
