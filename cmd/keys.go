package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"contacts/contacts"
	"contacts/contacts/adapters/sqlstore"
)

func newKeys() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke API keys, by which callers are known where auth.mode has keys",
		Args:  usage(cobra.NoArgs),
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	keys.AddCommand(newKeysCreate(), newKeysList(), newKeysRevoke())
	return keys
}

func newKeysCreate() *cobra.Command {
	var tenant, expires string
	var scopes []string
	create := &cobra.Command{
		Use:   "create --tenant T --scope contacts:read,contacts:write",
		Short: "Make an API key, and print it: it cannot be shown again",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			until, err := parseExpiry(expires, time.Now())
			if err != nil {
				return usageError{fmt.Errorf("--expires: %w", err)}
			}
			var permitted []contacts.Scope
			for _, scope := range scopes {
				permitted = append(permitted, contacts.Scope(scope))
			}
			return withKeys(command, func(ctx context.Context, a *app, keys *contacts.Keys) error {
				secret, key, err := keys.Issue(ctx, contacts.Tenant(tenant), permitted, until)
				event := operated("create-key", err)
				event.Tenant, event.Key = key.Tenant, key.ID
				event.Log(ctx, a.audit)
				if contacts.IsKind(err, contacts.KindInvalid) {
					return usageError{err}
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(command.ErrOrStderr(), "API key %s of the tenant %s for %s, expires: %s. Data: %s. This is the only time that it is shown:\n",
					key.ID, key.Tenant, scopeList(key.Scopes), orNever(key.ExpiresAt), a.place())
				_, err = fmt.Fprintln(command.OutOrStdout(), secret)
				return err
			})
		},
	}
	create.Flags().StringVar(&tenant, "tenant", "", "whose contacts the key is for")
	create.Flags().StringSliceVar(&scopes, "scope", nil, "what it permits: contacts:read, contacts:write, or both with a comma between them")
	create.Flags().StringVar(&expires, "expires", "", "until when: days (90d), a duration (36h), a date (2030-12-31) or a time (RFC 3339); none: until it is revoked")
	return create
}

func newKeysList() *cobra.Command {
	var tenant string
	list := &cobra.Command{
		Use:   "list",
		Short: "List the API keys, the latest first, without the keys themselves",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			return withKeys(command, func(ctx context.Context, _ *app, keys *contacts.Keys) error {
				listed, err := keys.List(ctx, contacts.Tenant(tenant))
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "ID\tTENANT\tSCOPES\tCREATED\tEXPIRES\tREVOKED")
				for _, key := range listed {
					fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Tenant, scopeList(key.Scopes),
						key.CreatedAt.Format(time.RFC3339), orNever(key.ExpiresAt), orNever(key.RevokedAt))
				}
				return table.Flush()
			})
		},
	}
	list.Flags().StringVar(&tenant, "tenant", "", "only this tenant's")
	return list
}

func newKeysRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Have an API key refused, within seconds on every replica; may be repeated",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return usageError{errors.New("expected ID to be one of those that `contacts keys list` shows")}
			}
			return withKeys(command, func(ctx context.Context, a *app, keys *contacts.Keys) error {
				err := keys.Revoke(ctx, id)
				event := operated("revoke-key", err)
				event.Key = id
				event.Log(ctx, a.audit)
				return err
			})
		},
	}
}

// withKeys opens no more than the database, which may be in use by a serve.
func withKeys(command *cobra.Command, do func(context.Context, *app, *contacts.Keys) error) error {
	settings, err := loadSettings(command)
	if err != nil {
		return err
	}
	a, err := newApp(settings, command.ErrOrStderr())
	if err != nil {
		return err
	}
	ctx := command.Context()
	if err = a.openDatabase(ctx); err == nil {
		err = do(ctx, a, contacts.NewKeys(sqlstore.New(a.db)))
	}
	return errors.Join(err, a.close())
}

// parseExpiry reads the time until which a key is valid, zero for none.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		if n, err := strconv.Atoi(days); err == nil {
			return now.AddDate(0, 0, n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} { // a date is its beginning in UTC
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("expected days (90d), a duration (36h), a date (2030-12-31) or a time (2030-12-31T12:00:00Z)")
}

func scopeList(scopes []contacts.Scope) string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return strings.Join(names, ",")
}

func orNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.RFC3339)
}
