package sqlstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
)

// BenchmarkStore_Apply measures transactions of 100 creates.
func BenchmarkStore_Apply(b *testing.B) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		b.Run(string(engine), func(b *testing.B) {
			store := open(b, engine)
			fields := contactstest.Jane(b)
			commands := make([]contacts.Command, 100)
			b.ReportAllocs()
			for b.Loop() {
				for i := range commands {
					commands[i] = contactstest.CreateCommand(b, contacts.DefaultTenant, fields)
				}
				_, err := store.Apply(b.Context(), commands, time.Now(), nil)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.N*len(commands))/b.Elapsed().Seconds(), "contacts/s")
		})
	}
}

// BenchmarkStore_Document measures reads that no cache answers.
func BenchmarkStore_Document(b *testing.B) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		b.Run(string(engine), func(b *testing.B) {
			store := open(b, engine)
			create := contactstest.CreateCommand(b, contacts.DefaultTenant, contactstest.Jane(b))
			_, err := store.Apply(b.Context(), []contacts.Command{create}, time.Now(), nil)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				document, err := store.Document(b.Context(), create.Tenant, create.Contact)
				require.NoError(b, err)
				require.Equal(b, contacts.Live, document.State)
			}
		})
	}
}

// BenchmarkStore_List measures pages of 50 contacts of 2,000.
func BenchmarkStore_List(b *testing.B) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		b.Run(string(engine), func(b *testing.B) {
			store := open(b, engine)
			fields := contactstest.Jane(b)
			for range 20 {
				commands := make([]contacts.Command, 100)
				for i := range commands {
					commands[i] = contactstest.CreateCommand(b, contacts.DefaultTenant, fields)
				}
				_, err := store.Apply(b.Context(), commands, time.Now(), nil)
				require.NoError(b, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				listing, err := store.List(b.Context(), contacts.DefaultTenant, contacts.Query{Sort: contacts.SortCreated, Limit: contacts.DefaultPage})
				require.NoError(b, err)
				require.Len(b, listing.Items, contacts.DefaultPage)
			}
		})
	}
}
