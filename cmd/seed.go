package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/brianvoe/gofakeit/v7"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"contacts/contacts"
	"contacts/platform/telemetry"
)

// seedConcurrency is how many contacts are on their way at the same time: enough to fill the queue's batches.
const seedConcurrency = 64

func newSeed() *cobra.Command {
	var count int
	var tenant string
	seed := &cobra.Command{
		Use:   "seed",
		Short: "Fill the service with made-up contacts, through the same use cases as the API",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			if count < 1 {
				return usageError{errors.New("--count: expected a number of contacts, 1 or more")}
			}
			if err := contacts.Tenant(tenant).Validate(); err != nil {
				return usageError{fmt.Errorf("--tenant: %w", err)}
			}
			settings, err := loadSettings(command)
			if err != nil {
				return err
			}
			a, err := openApp(command.Context(), settings, options{role: "seed", logTo: command.ErrOrStderr()})
			if err != nil {
				return err
			}
			err = a.seed(command, contacts.Tenant(tenant), count)
			return errors.Join(err, a.close())
		},
	}
	seed.Flags().IntVar(&count, "count", 100, "how many contacts to make")
	seed.Flags().StringVar(&tenant, "tenant", string(contacts.DefaultTenant), "whose contacts they are")
	return seed
}

// seed creates the contacts and says what became of them.
func (a *app) seed(command *cobra.Command, tenant contacts.Tenant, count int) error {
	stop := a.runBackground(context.WithoutCancel(command.Context()), a.consumes)
	defer stop()
	progress := progressbar.NewOptions(count,
		progressbar.OptionSetWriter(command.ErrOrStderr()),
		progressbar.OptionSetVisibility(telemetry.IsTerminal(command.ErrOrStderr())),
		progressbar.OptionSetDescription("contacts"), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
	)
	faker := gofakeit.New(0) // safe for concurrent use
	caller := contacts.Caller{Tenant: tenant, Subject: "seed"}
	var applied, pending atomic.Int64
	group, ctx := errgroup.WithContext(command.Context())
	group.SetLimit(seedConcurrency)
	for range count {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			operation, err := a.service.Create(ctx, caller, madeUp(faker), contacts.Write{Wait: a.settings.Write.Wait})
			switch {
			case err != nil:
				return err
			case operation.Status == contacts.Pending:
				pending.Add(1)
			default:
				applied.Add(1)
			}
			return progress.Add(1)
		})
	}
	err := group.Wait()
	if err == nil {
		err = context.Cause(command.Context())
	}
	fmt.Fprintf(command.OutOrStdout(), "%d contacts created, %d more accepted and not yet applied\n", applied.Load(), pending.Load())
	if err != nil {
		return fmt.Errorf("stopped after %d of %d contacts: %w", applied.Load()+pending.Load(), count, err)
	}
	return nil
}

// madeUp returns a contact of somebody who does not exist: addresses are under reserved names, numbers in no one's use.
func madeUp(faker *gofakeit.Faker) contacts.Fields {
	first, last := faker.FirstName(), faker.LastName()
	user := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(first+last))
	address := faker.Address()
	return contacts.Fields{
		FirstName: first, LastName: last,
		Emails:       []contacts.EmailAddress{{Address: fmt.Sprintf("%s%d@example.com", user, faker.IntRange(1, 9999)), Label: "work"}},
		Phones:       []contacts.PhoneNumber{{Number: fmt.Sprintf("+1 %d 555 01%02d", faker.IntRange(201, 989), faker.IntRange(0, 99)), Label: "mobile"}},
		Addresses:    []contacts.PostalAddress{{Street: address.Street, City: address.City, Region: address.State, PostalCode: address.Zip, Country: "US", Label: "home"}},
		Organization: faker.Company(), JobTitle: faker.JobTitle(),
		Birthday: faker.DateRange(time.Now().AddDate(-90, 0, 0), time.Now().AddDate(-18, 0, 0)).Format(time.DateOnly),
		Labels:   []string{faker.RandomString([]string{"customer", "friend", "lead", "supplier"})},
	}
}
