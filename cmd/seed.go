package cmd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-faker/faker/v4"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"contacts/contacts"
	"contacts/platform/telemetry"
)

// seedConcurrency is how many contacts are on their way at the same time: enough to fill the
// queue's batches.
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
	caller := contacts.Caller{Tenant: tenant, Subject: "seed"}
	var applied, pending atomic.Int64
	group, ctx := errgroup.WithContext(command.Context())
	group.SetLimit(seedConcurrency)
	for range count {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			operation, err := a.service.Create(ctx, caller, madeUp(), contacts.Write{Wait: a.settings.Write.Wait})
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
	fmt.Fprintf(command.OutOrStdout(), "%d contacts created for the tenant %s, %d more accepted and not yet applied. Data: %s\n",
		applied.Load(), tenant, pending.Load(), a.place())
	if err != nil {
		return fmt.Errorf("stopped after %d of %d contacts: %w", applied.Load()+pending.Load(), count, err)
	}
	return nil
}

// madeUp returns a contact of a person that does not exist: email addresses are under a
// reserved name, telephone numbers and streets in no one's use.
func madeUp() contacts.Fields {
	first, last := faker.FirstName(), faker.LastName()
	town := faker.GetRealAddress() // a town there is, with its state and postal code
	return contacts.Fields{
		FirstName: first, LastName: last,
		Emails: []contacts.EmailAddress{{Address: fmt.Sprintf("%s%d@example.com", letters(first+last), 1+rand.N(9999)), Label: "work"}},
		Phones: []contacts.PhoneNumber{{Number: fmt.Sprintf("+1 %d 555 01%02d", 201+rand.N(788), rand.N(100)), Label: "mobile"}},
		Addresses: []contacts.PostalAddress{{
			Street: fmt.Sprintf("%d %s Street", 10_000+rand.N(10_000), faker.LastName()),
			City:   town.City, Region: town.State, PostalCode: town.PostalCode, Country: "US", Label: "home",
		}},
		Organization: faker.LastName() + " & " + faker.LastName(),
		JobTitle:     one("Accountant", "Engineer", "Nurse", "Teacher", "Translator"),
		Birthday:     time.Now().AddDate(-18, 0, -rand.N(72*365)).Format(time.DateOnly),
		Labels:       []string{one("customer", "friend", "lead", "supplier")},
	}
}

// letters returns a text's letters of the English alphabet, in lower case.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(text))
}

// one returns one of the texts, each as likely as the others.
func one(texts ...string) string { return texts[rand.N(len(texts))] }
