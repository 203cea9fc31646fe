package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"contacts/config"
	"contacts/migrations"
	"contacts/platform/database"
)

func newMigrate() *cobra.Command {
	up := func(command *cobra.Command, _ []string) error {
		return withSchema(command, func(schema *database.Schema, settings *config.Config) error {
			err := schema.Up(command.Context())
			if err == nil && settings.Database.OwnerURL != "" {
				err = schema.Admit(command.Context(), settings.Database.URL)
			}
			return err
		})
	}
	migrate := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date (the same as migrate up)",
		Args:  usage(cobra.NoArgs),
		RunE:  up,
	}
	migrate.AddCommand(
		&cobra.Command{Use: "up", Short: "Apply every migration that is missing", Args: usage(cobra.NoArgs), RunE: up},
		&cobra.Command{
			Use:   "down N",
			Short: "Take back the last N migrations, and the data in what they made",
			Args:  usage(cobra.ExactArgs(1)),
			RunE: func(command *cobra.Command, args []string) error {
				n, err := strconv.Atoi(args[0])
				if err != nil || n < 1 {
					return usageError{errors.New("expected N to be a number of migrations, 1 or more")}
				}
				return withSchema(command, func(schema *database.Schema, _ *config.Config) error { return schema.Down(command.Context(), n) })
			},
		},
		&cobra.Command{
			Use:   "status",
			Short: "Show which migrations have been applied",
			Args:  usage(cobra.NoArgs),
			RunE: func(command *cobra.Command, _ []string) error {
				return withSchema(command, func(*database.Schema, *config.Config) error { return nil })
			},
		},
	)
	return migrate
}

// withSchema does something with the schema of the configured database, as its owner, and
// prints what state it is in then.
func withSchema(command *cobra.Command, do func(*database.Schema, *config.Config) error) error {
	settings, err := config.Load(command.Flags())
	if err != nil {
		return err
	}
	schema, err := database.OpenSchema(cmp.Or(settings.Database.OwnerURL, settings.Database.URL), migrations.Files)
	if err != nil {
		return err
	}
	err = do(schema, settings)
	if err == nil {
		var status database.Status
		if status, err = schema.Status(command.Context()); err == nil {
			fmt.Fprintf(command.OutOrStdout(), "schema version %d of %d\n", status.Version, status.Latest)
		}
	}
	if err != nil && settings.Database.OwnerURL == "" && strings.HasPrefix(settings.Database.URL, "postgres") {
		err = fmt.Errorf("%w; without database.owner_url it is database.url that migrates, and has to own the tables", err)
	}
	return errors.Join(err, schema.Close())
}
